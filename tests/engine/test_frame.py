"""Frames on buffers that never move: the same stems, and nothing that a CUDA graph could not hold.

No GPU is needed: on the meta device, where tensors have no numbers, reading one fails, and what touches the host is
seen by the device of its tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from streamsep.config import FRAME, LOOKAHEADS
from streamsep.engine.batch import Batch
from streamsep.engine.frame import FrameStep, Mode
from streamsep.engine.levels import Level
from streamsep.engine.pages import PagePool
from streamsep.engine.parts import Parts
from streamsep.engine.separator import Separator
from streamsep.engine.settings import Settings
from streamsep.engine.slots import Slots
from streamsep.lm.pages import Pages, ring_pages
from streamsep.model.net import Net
from streamsep.streaming.graph import Static
from tests.engine.helpers import Player, play
from tests.model.small import SMALL
from tests.sounds import tune


@pytest.mark.parametrize("render", ["mask", "codec"])
def test_static_buffers_give_the_same_stems(separator: Separator, render: str) -> None:
    plans = [(k, seed) for k in LOOKAHEADS for seed in (None, 7)]
    results: list[list[Any]] = []
    for graphs in (False, True):
        batch = Batch(separator.net, 10, Settings(render), graphs=graphs)
        batch.record()
        songs = [tune(0.3, 48_000, seed=i) for i in range(len(plans))]
        players = [Player(batch, song, 48_000, *plan) for song, plan in zip(songs, plans, strict=True)]
        play(batch, players, np.random.default_rng(4))
        results.append([player.stems() for player in players])
    for plain, static in zip(*results, strict=True):
        np.testing.assert_allclose(static, plain, atol=1e-5)


@pytest.mark.parametrize("level", Level)
def test_every_level_fits_into_static_buffers(separator: Separator, level: Level) -> None:
    rng = np.random.default_rng(5)
    blocks = [rng.standard_normal((2, 2, FRAME)).astype(np.float32) * 0.1 for _ in range(3)]
    sounds: list[list[Any]] = []
    for graphs in (False, True):
        batch = Batch(separator.net, 5, graphs=graphs)
        slots = [batch.open(0) for _ in range(3)]
        ticks = [batch.tick({slots[0]: one[0], slots[2]: one[1]}, level) for one in blocks]
        sounds.append([tick[slot] for tick in ticks for slot in (slots[0], slots[2])])
    for plain, static in zip(*sounds, strict=True):
        np.testing.assert_allclose(static, plain, atol=1e-5)


def test_work_for_nobody_changes_nobody(separator: Separator) -> None:
    sounds: list[Any] = []
    for nudges in (0, 3):
        batch = Batch(separator.net, 2, graphs=True)
        player = Player(batch, tune(0.3, 48_000), 48_000, 0)
        while player.lane.due():
            player.give(batch.tick({player.slot: player.lane.next()})[player.slot])
            for _ in range(nudges):
                batch.nudge()
        sounds.append(player.stems())
    assert np.array_equal(*sounds)


def test_buckets_are_powers_of_two_up_to_all_slots(separator: Separator) -> None:
    graphs = Batch(separator.net, 6, graphs=True)._graphs
    assert graphs is not None
    assert [graphs.bucket(stop) for stop in range(1, 7)] == [1, 2, 4, 4, 6, 6]


def test_a_static_step_reads_its_own_buffers() -> None:
    seen: list[int] = []

    def double(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.data_ptr())
        return 2 * x

    step = Static(double, (torch.zeros(3),))
    for value in (1.0, 2.0):
        torch.testing.assert_close(step(torch.full((3,), value)), torch.full((3,), 2 * value))
    assert len(set(seen)) == 1


class Watch(TorchDispatchMode):
    """Collects every operation that the host has a part in."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)]
        if any(x.device.type != "meta" for x in tensors) or "_local_scalar_dense" in str(func):
            self.found.append(str(func))
        return out


class Numbers(TorchFunctionMode):
    """Collects what turns numbers of the host into a tensor. On `meta` nothing is copied, so `Watch` cannot see it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        index = args[1] if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) else ()
        listed = any(isinstance(x, (list, np.ndarray)) for x in (index if isinstance(index, tuple) else (index,)))
        if listed or func in (torch.tensor, torch.as_tensor, torch.from_numpy):
            self.found.append(f"{func.__name__} of {args}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("index", [[0, 1], (slice(None), [0, 1]), (..., np.array([1]))])
def test_an_index_that_is_a_list_is_seen(index: Any) -> None:
    with Numbers() as numbers:
        torch.zeros(2, 2)[index]
        torch.zeros(2, 2)[index] = 1.0
        torch.zeros(2, 2)[0, torch.tensor(1)]
    assert len(numbers.found) == 3  # and torch.tensor


@pytest.mark.parametrize("render", ["mask", "codec"])
@pytest.mark.parametrize("seeded", [False, True])
@pytest.mark.parametrize("level", Level)
def test_a_frame_asks_the_host_for_nothing(render: str, seeded: bool, level: Level) -> None:
    net = Net(SMALL).to("meta").eval().requires_grad_(False)
    pool = PagePool(Pages(SMALL.lm, 4 * ring_pages(SMALL.lm), "meta"))
    parts = Parts(net, Settings(render))
    step = FrameStep(parts, Slots(parts, 4, pool))
    mixture = torch.zeros(4, 2, FRAME, device="meta")
    mask = torch.zeros(4, dtype=torch.bool, device="meta")
    with torch.inference_mode():
        step(0, 4, Mode(level, seeded), mixture, mask, mask)  # makes the constants
        with Watch() as watch, Numbers() as numbers:
            out = step(0, 4, Mode(level, seeded), mixture, mask, mask)
    assert watch.found == [] and numbers.found == []
    assert out.sound is not None and out.sound.shape == (4, 4, 2, FRAME)
