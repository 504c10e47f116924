"""The fair race: a model of ours against peers trained with the same songs, for the same time, on the same device.

    python -m tests.bench.race --pool pool --songs held-out --minutes 120 --out race

Trains a causal mask LSTM of the compute of ``--model`` and, where it is installed, HS-TasNet, each for ``--minutes``;
then all of them separate the same songs and the suite measures and compares them. Weights are kept in ``--out`` and
are trained further when the race is run again with more minutes. ``--model`` must have been trained as long on such a
pool: that is for whoever runs the race to see to.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from streamsep.data.mixing import MixingDataset
from streamsep.engine.separator import find_model
from streamsep.evaluate.entries import Estimates, IdealMasks, ModelEntry, Plan
from streamsep.evaluate.estimator import ModelEstimator
from streamsep.evaluate.folder import PAGE, RESULTS
from streamsep.evaluate.measures import parse_families
from streamsep.evaluate.page import build_page
from streamsep.evaluate.run import EvaluateOptions, Evaluation, evaluate_song
from streamsep.evaluate.scores import Row
from streamsep.evaluate.songs import TrueStems, find_songs
from streamsep.evaluate.suite import build_report
from streamsep.model.checkpoint import load_model
from streamsep.train.batches import batches
from tests.bench.rivals import HSTasNetPeer, MaskPeer, Peer, mask_width, net_flops

Say = Callable[[str], None]


def train(peer: Peer, dataset: MixingDataset, seconds: float, path: Path, say: Say, lr: float = 1e-3) -> None:
    """Train until ``seconds`` of wall time are spent, those of earlier runs included; keep weights in ``path``.

    The learning rate falls linearly over the last third.
    """
    optimizer = torch.optim.Adam(peer.net.parameters(), lr=lr)
    spent, steps = 0.0, 0
    if path.is_file():
        kept = torch.load(path, weights_only=True)
        peer.net.load_state_dict(kept["net"])
        optimizer.load_state_dict(kept["optimizer"])
        spent, steps = kept["seconds"], kept["steps"]
    peer.net.train()
    waves = batches(dataset, steps, workers=0)
    said = begun = time.monotonic() - spent
    while (now := time.monotonic() - begun) < seconds:
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, 3 * (1 - now / seconds))
        loss = peer.loss(next(waves))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(peer.net.parameters(), 1.0)
        optimizer.step()
        steps += 1
        if time.monotonic() - said > 30:
            said = time.monotonic()
            say(f"{peer.name}: step {steps}, {now / 60:.1f} of {seconds / 60:.1f} min, loss {float(loss.detach()):.5f}")
    state = {"net": peer.net.state_dict(), "optimizer": optimizer.state_dict(), "seconds": now, "steps": steps}
    torch.save(state, path)
    say(f"{peer.name}: {steps} steps in {now / 60:.1f} min")


class PeerEntry:
    """A trained peer as rows of the suite."""

    pieces = 1

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def __call__(self, song: TrueStems) -> Estimates:
        yield Row(self._peer.name), self._peer.separate(song.mixture)


def race(arguments: argparse.Namespace, say: Say) -> Mapping[str, object]:
    """Train, measure, write; returns what is written as results.json."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    flops = net_flops(load_model(find_model(arguments.model), "cpu"))
    width = mask_width(flops)
    say(f"'{arguments.model}' spends {flops / 1e9:.2f} GFLOP on a second of sound: mask LSTM of width {width}")
    peers: list[Peer] = [MaskPeer(width)]
    try:
        peers.append(HSTasNetPeer())
    except ImportError as error:
        say(f"HS-TasNet does not take part: {error}")
    for peer in peers:
        size = sum(parameter.numel() for parameter in peer.net.parameters())
        say(f"{peer.name}: {size / 1e6:.1f} M parameters")
        dataset = MixingDataset([arguments.pool], arguments.frames, arguments.batch, arguments.seed)
        path = arguments.out / f"{peer.name.replace(' ', '-').lower()}.pt"
        train(peer, dataset, 60 * arguments.minutes, path, say)
    model = ModelEntry(ModelEstimator(arguments.model), (arguments.lookahead,))
    entries = [IdealMasks(), model, *(PeerEntry(peer) for peer in peers)]
    songs = find_songs(arguments.songs)[: arguments.limit]
    options = EvaluateOptions(
        (arguments.lookahead,),
        families=parse_families(arguments.metrics),
        exhibits=tuple(song.name for song in songs[:2]),
    )
    result = Evaluation(
        latency_ms={arguments.lookahead: ModelEstimator(arguments.model).latency(arguments.lookahead) / 48}
    )
    for song in songs:
        say(f"measuring {song.name}")
        result.records.append(evaluate_song(song, entries, options))
    report = build_report(str(arguments.songs), Plan(arguments.model), result)
    (arguments.out / RESULTS).write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", "utf-8")
    (arguments.out / PAGE).write_text(build_page(report, result.records), "utf-8")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True, help="pool of npy songs to train on")
    parser.add_argument("--songs", type=Path, required=True, help="held-out songs, as for streamsep evaluate")
    parser.add_argument("--out", type=Path, default=Path("race"))
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--minutes", type=float, default=120.0, help="of training, for each peer")
    parser.add_argument("--lookahead", type=int, default=0)
    parser.add_argument("--limit", type=int, default=None, help="songs to measure")
    parser.add_argument("--metrics", default="sdr,spectral,leakage")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=75)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    report = race(parser.parse_args(), lambda text: print(text, flush=True))
    from rich.console import Console

    from streamsep.evaluate.tables import print_report

    print_report(Console(highlight=False), dict(report), brief=True)


if __name__ == "__main__":
    main()
