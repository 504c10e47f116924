"""``python -m tests.soak int8 SONGS``: what int8 weights cost and gain on the CPU, beside float32, frame by frame.

Two streams of the same model hear the same songs, one on ``numba``, one on ``numba_int8``. A line of JSON: the share
of tokens that are the same, SI-SDR of both against the true stems, milliseconds of a frame. Each hears its own tokens,
so a token that differs may change those after it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

import streamsep
from kernels.registry import IMPLEMENTATIONS, VARIABLE
from streamsep.config import FRAME, SAMPLE_RATE
from streamsep.engine.separator import Separator
from streamsep.engine.stream import Stream
from streamsep.evaluate.scores import Row, SongScorer, total_summary
from streamsep.evaluate.songs import find_songs, load_song

BACKENDS = ("numba", "numba_int8")
Sound = np.ndarray


class Heard:
    """A stream on one backend; ``stems`` and ``tokens`` of what it was pushed, ``times`` in milliseconds."""

    def __init__(self, separator: Separator, lookahead: int) -> None:
        self.stream: Stream = separator.stream(SAMPLE_RATE, 2, lookahead, keep_codes=True)
        self.times: list[float] = []
        self._parts: list[dict[str, Sound]] = []

    def push(self, block: Sound) -> None:
        begin = time.perf_counter()
        self._parts.append(self.stream.push(block))
        self.times.append(1_000 * (time.perf_counter() - begin))

    def end(self) -> tuple[dict[str, Sound], Sound]:
        self._parts.append(self.stream.flush())
        stems = {name: np.concatenate([part[name] for part in self._parts], 1) for name in self._parts[0]}
        return stems, np.stack(self.stream.codes)


def main(argv: list[str]) -> int:
    """Exit code 0; the figures are for the reader to judge."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak int8", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("songs", type=Path, help="a folder of songs with their stems")
    parser.add_argument("--limit", type=int, default=10, help="of songs, the first by name")
    parser.add_argument("--seconds", type=float, default=30, help="of each song")
    parser.add_argument("--lookahead", type=int, default=0)
    parser.add_argument("--model", default="tiny")
    args = parser.parse_args(argv)
    separators = [_separator(args.model, backend) for backend in BACKENDS]
    scores, same, times = [], [0, 0], {backend: list[float]() for backend in BACKENDS}
    for folder in find_songs(args.songs)[: args.limit]:
        song = load_song(folder, args.seconds)
        heard = [Heard(separator, args.lookahead) for separator in separators]
        for start in range(0, song.mixture.shape[1], FRAME):
            for each in heard:
                each.push(song.mixture[:, start : start + FRAME])
        scorer, tokens = SongScorer(song), list[Sound]()
        for backend, each in zip(BACKENDS, heard, strict=True):
            stems, codes = each.end()
            scorer.add(Row(backend, args.lookahead), stems)
            tokens.append(codes)
            times[backend] += each.times
        scores.append(scorer.scores)
        same[0] += int((tokens[0] == tokens[1]).sum())
        same[1] += tokens[0].size
    rows = {row["estimate"]: row for row in total_summary(scores)}
    report = {
        "songs": len(scores),
        "tokens": same[1],
        "same": round(same[0] / same[1], 4),
        "si_sdr": {backend: rows[backend]["si_sdr"] for backend in BACKENDS},
        "frame_ms": {
            backend: {"p50": round(float(np.median(t)), 2), "p5": round(float(np.quantile(t, 0.05)), 2)}
            for backend, t in times.items()
        },
    }
    print(json.dumps(report))
    return 0


def _separator(model: str, backend: str) -> Separator:
    ops = sorted({known.op for known in IMPLEMENTATIONS if known.backend == "numba_int8"})
    os.environ[VARIABLE] = ",".join(f"{op}:{backend}" for op in ops)
    separator = streamsep.load(model)
    del os.environ[VARIABLE]
    warm = separator.stream(SAMPLE_RATE, 2)
    warm.push(np.zeros((2, FRAME), np.float32))
    return separator
