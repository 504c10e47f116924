"""One model in a process of its own: told by lines of JSON what to do, answers by lines of JSON.

`python -m tests.bench.peers.worker NUMBER BEGIN THREADS DEVICE SONG`: the place in ``PEERS``, ``perf_counter_ns`` of
the launch, and the song as .npy [2, n] at 48 kHz.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, TextIO

_BLOCKS = 3  # a chunked model gives in its second block what its first one held back


def main(number: int, begin: int, threads: int, device: str, song: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a model's package prints must not get between the answers
    import numpy as np

    from streamsep.profile.first_stem import peak_bytes
    from tests.bench.peers.peer import PEERS

    peer = PEERS[number]
    try:
        runner = Runner(peer, threads, device)
    except Exception as error:
        _answer(answers, {"missing": f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"})
        return
    _answer(answers, {"cold_start_s": (time.perf_counter_ns() - begin) / 1e9, "parameters": runner.built.parameters})
    sound = np.load(song)
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "round":
            _answer(answers, runner.round(sound, command["start"], command["seconds"], command["budget"]))
        elif command["do"] == "latency":
            _answer(answers, runner.latency())
        elif command["do"] == "memory":
            _answer(answers, {"peak_mb": peak_bytes() / 1e6} | _device_memory(device))
        elif command["do"] == "count":
            _answer(answers, {"flops_per_second": runner.flops()})


class Runner:
    """A built peer, and what is measured on it. Making one gives the first stem."""

    def __init__(self, peer: Any, threads: int, device: str = "cpu") -> None:
        import importlib

        import torch

        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.peer = peer
        module = importlib.import_module(f"tests.bench.peers.{peer.module}")
        self.built = module.build(device, **dict(peer.options))
        noise = _noise(peer.channels, self.built.block)
        live = self.built.make()
        while not live.push(noise).shape[1]:
            pass
        self._live = self.built.make()

    def round(self, song: Any, start: float, seconds: float, budget: float) -> dict[str, Any]:
        """Stream ``seconds`` of the song, or as much as ``budget`` seconds allow, at least one block."""
        block, rate = self.built.block, self.peer.rate
        sound = self._at_own_rate(song, start, max(seconds, block / rate))
        times, done = [], 0
        begin = time.perf_counter()
        while done + block <= sound.shape[1] and (not times or time.perf_counter() - begin < budget):
            piece = sound[:, done : done + block]
            pushed = time.perf_counter()
            self._live.push(piece)
            times.append(time.perf_counter() - pushed)
            done += block
        return {"seconds": done / rate, "times": times}

    def latency(self) -> dict[str, Any]:
        """``samples`` from sound in to the same sound out; random weights need not let a click through, so of a model
        whose output is aligned with its input the samples in and out are counted.
        """
        if self.built.aligned:
            return {"samples": self.waited(), "by": "samples in and out"}
        return {"samples": self.click(), "by": "click"}

    def waited(self) -> int:
        """Samples from when one was heard to when the one of its number came out, at most, in some blocks."""
        block, live = self.built.block, self.built.make()
        noise = _noise(self.peer.channels, block)
        longest = pushed = given = 0
        for _ in range(_BLOCKS):
            out = live.push(noise).shape[1]
            pushed += block
            if out:
                longest, given = max(longest, pushed - given), given + out
        return longest

    def click(self) -> int:
        """Samples from a click in to the same click out, at most, of four places in a block."""
        import numpy as np

        block, longest = self.built.block, 0
        count = -(-self.peer.rate // (2 * block))  # blocks of half a second
        for number in range(4):
            place = count // 2 * block + number * block // 4
            sound = np.zeros((self.peer.channels, count * block), np.float32)
            sound[:, place] = 0.5
            live, parts, when, given = self.built.make(), [], [], 0
            for start in range(0, sound.shape[1], block):
                parts.append(live.push(sound[:, start : start + block]))
                given += parts[-1].shape[1]
                when.append((given, start + block))
            peak = int(np.abs(np.concatenate(parts, axis=1)).sum(0).argmax())
            longest = max(longest, next(pushed for given, pushed in when if given > peak) - place)
        return longest

    def flops(self) -> float:
        """Operations (a multiply-add is two) for a second of sound, of products and convolutions; transforms and
        pointwise operations are not counted.
        """
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        counter = FlopCounterMode(display=False)
        with torch.backends.mkldnn.flags(enabled=not self.built.recurrent), counter:
            self.built.counted()
        return counter.get_total_flops() * self.peer.rate / self.built.counted_samples

    def _at_own_rate(self, song: Any, start: float, seconds: float) -> Any:
        import numpy as np

        from streamsep.audio.resample import resample

        first = round(start * 48_000) % song.shape[1]
        part = np.take(song, np.arange(first, first + round(seconds * 48_000)), axis=1, mode="wrap")
        part = part.mean(0, keepdims=True) if self.peer.channels == 1 else part
        return np.ascontiguousarray(resample(part, 48_000, self.peer.rate))


def _device_memory(device: str) -> dict[str, float]:
    """What a GPU has given to this process at most."""
    import torch

    return {"device_mb": torch.cuda.max_memory_reserved() / 1e6} if device == "cuda" else {}


def _noise(channels: int, count: int) -> Any:
    import numpy as np

    return 0.1 * np.random.default_rng(0).standard_normal((channels, count)).astype(np.float32)


def _answer(answers: TextIO, said: dict[str, Any]) -> None:
    answers.write(json.dumps(said) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
