"""The fair race: a model of ours against peers trained with the same songs, for the same time, on the same device.

    streamsep train guide --recipe tests/bench/race.toml --pool pool --valid valid --out race/ours
    python -m tests.bench.race --ours race/ours --pool pool --songs held-out --minutes 36 --out race

Trains a causal mask LSTM of the compute of our model and, where it is installed, HS-TasNet, each for ``--minutes``;
then all of them separate the same songs and the suite measures and compares them. Weights are kept in ``--out`` and
are trained further when the race is run again with more minutes. Our own training must have lasted as long: that is for
whoever runs the race to see to. Its guide head takes part, without a language model.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console

from streamsep.config import SAMPLE_RATE
from streamsep.data.mixing import MixingDataset
from streamsep.evaluate.entries import Plan
from streamsep.evaluate.estimator import ModelEstimator
from streamsep.evaluate.measures import parse_families
from streamsep.evaluate.run import EvaluateOptions
from streamsep.evaluate.songs import find_songs
from streamsep.evaluate.suite import Suite, run_suite
from streamsep.evaluate.tables import print_report
from streamsep.model.checkpoint import save_model
from streamsep.model.net import Net
from streamsep.train.batches import batches
from streamsep.train.checkpoint import load_weights
from streamsep.train.loop import BEST
from streamsep.train.precision import autocast, training_dtype
from streamsep.train.recipe import load_recipe
from tests.bench import entrants
from tests.bench.rivals import HSTasNetPeer, MaskPeer, Peer, mask_width, net_flops

Say = Callable[[str], None]

MS = SAMPLE_RATE // 1_000
RECIPE = Path(__file__).with_name("race.toml")


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
        stems = next(waves)
        with autocast(training_dtype(peer.precision, stems.device), stems.device):
            loss = peer.loss(stems)
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


def contest(peers: list[Peer], arguments: argparse.Namespace, say: Say) -> list[Path]:
    """Train every peer; returns where their weights are."""
    paths = [arguments.out / f"{peer.name.replace(' ', '-').lower()}.pt" for peer in peers]
    for peer, path in zip(peers, paths, strict=True):
        size = sum(parameter.numel() for parameter in peer.net.parameters())
        say(f"{peer.name}: {size / 1e6:.1f} M parameters")
        dataset = MixingDataset([arguments.pool], arguments.frames, peer.batch, arguments.seed)
        train(peer, dataset, 60 * arguments.minutes, path, say, arguments.lr)
    return paths


def our_model(run: Path, folder: Path) -> Net:
    """The best guide of a training with RECIPE, written to ``folder`` as a model."""
    net = Net(load_recipe(str(RECIPE)).model).eval()
    load_weights(run / "guide" / BEST, net.trunk)
    save_model(folder, net)
    return net


def line_up(net: Net, say: Say) -> list[Peer]:
    """The peers that can take part, untrained; the mask LSTM spends what ``net`` does."""
    flops = net_flops(net)
    width = mask_width(flops)
    say(f"our model spends {flops / 1e9:.2f} GFLOP on a second of sound: mask LSTM of width {width}")
    peers: list[Peer] = [MaskPeer(width)]
    try:
        peers.append(HSTasNetPeer())
    except ImportError as error:
        say(f"HS-TasNet does not take part: {error}")
    return peers


def race(arguments: argparse.Namespace, say: Say) -> dict[str, object]:
    """Train, measure, write; returns what is written as results.json."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    model = arguments.out / "model"
    peers = line_up(our_model(arguments.ours, model), say)
    paths = contest(peers, arguments, say)
    ours, module = ModelEstimator(str(model)), entrants.__name__
    systems = [f"streamsep, {ours.latency(k) // MS} ms=python:{module}:streamsep:{k}:{model}" for k in (0, -1)]
    for peer, path in zip(peers, paths, strict=True):
        systems.append(f"{peer.name}, {peer.latency_ms} ms=python:{module}:peer:{path}")
    # No lookahead: of the plan's own model, which the suite always loads, nothing is measured.
    plan = Plan(systems=tuple(systems), lookaheads=())
    options = EvaluateOptions((), families=parse_families(arguments.metrics))
    suite = Suite(str(arguments.songs), plan, options, arguments.out / "report", workers=arguments.workers, exhibits=2)
    songs = find_songs(arguments.songs)[: arguments.limit]
    return run_suite(suite, songs, lambda name, done, of: say(f"{done} of {of}: {name}"))[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True, help="pool of npy songs to train on")
    parser.add_argument("--songs", type=Path, required=True, help="held-out songs, as for streamsep evaluate")
    parser.add_argument("--out", type=Path, default=Path("race"))
    parser.add_argument("--ours", type=Path, default=Path("race/ours"), help="a training of ours, as long")
    parser.add_argument("--minutes", type=float, default=120.0, help="of training, for each peer")
    parser.add_argument("--limit", type=int, default=None, help="songs to measure")
    parser.add_argument("--metrics", default="sdr,spectral,leakage")
    parser.add_argument("--frames", type=int, default=75)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2, help="of the training")
    parser.add_argument("--workers", type=int, default=2, help="processes that measure")
    parser.add_argument("--seed", type=int, default=1)
    report = race(parser.parse_args(), lambda text: print(text, flush=True))
    print_report(Console(highlight=False), report, brief=True)


if __name__ == "__main__":
    main()
