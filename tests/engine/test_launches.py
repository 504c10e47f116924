"""What the host asks of a device for a tick: as much for many streams as for few, and nothing that is not wanted.

Counted on a CPU, where each operation of torch is seen; on a GPU each is a launch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from streamsep.config import LOOKAHEADS
from streamsep.engine import batch as batches
from streamsep.engine.batch import Batch
from streamsep.engine.frame import modes
from streamsep.engine.levels import Level
from streamsep.engine.separator import Separator
from streamsep.engine.settings import Settings


class Count(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        return func(*args, **(kwargs or {}))


def ticked(batch: Batch, slots: list[int], level: Level = Level.FULL) -> int:
    """Operations of a tick."""
    blocks = {slot: np.zeros((2, batch.unit(slot)), np.float32) for slot in slots}
    with Count() as count:
        batch.tick(blocks, level)
    return count.calls


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_a_tick_of_eight_asks_for_no_more_than_one_of_two(separator: Separator, lookahead: int) -> None:
    found = []
    for count in (2, 8):
        batch = Batch(separator.net, count, graphs=True)
        slots = [batch.open(lookahead) for _ in range(count)]
        ticked(batch, slots)  # makes the constants
        found.append([ticked(batch, slots) for _ in range(8)])
    assert found[0] == found[1]


def test_sound_that_nobody_wants_stays_where_it_is(separator: Separator, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[bool] = []
    real = batches.to_host

    def to_host(*tensors: Any) -> Any:
        fetched.append(tensors[0] is not None)
        return real(*tensors)

    monkeypatch.setattr(batches, "to_host", to_host)
    batch = Batch(separator.net, 2, graphs=True)
    slot = batch.open(-1)
    for _ in range(4):
        ticked(batch, [slot])
    assert fetched == [True] * 4 + [False]  # four hops, and then the frame that only predicts


@pytest.mark.parametrize("render", ["mask", "codec"])
def test_all_graphs_are_there_before_the_first_stream(separator: Separator, render: str) -> None:
    batch = Batch(separator.net, 4, Settings(render), graphs=True)
    batch.record()
    graphs = batch._graphs
    assert graphs is not None
    made = set(graphs._graphs)
    assert made == {(bucket, mode) for bucket in (1, 2, 4) for mode in modes(Settings(render))}
    slots = [batch.open(0), batch.open(0, seed=5), batch.open(-1, seed=6)]
    for level in Level:
        for ready in (slots[:1], slots[:2], slots):
            for _ in range(4):
                ticked(batch, ready, level)
    assert set(graphs._graphs) == made


def test_drawing_or_not_is_one_step_where_there_are_no_tokens(separator: Separator) -> None:
    batch = Batch(separator.net, 4, graphs=True)
    slots = [batch.open(0), batch.open(0), batch.open(0, seed=5)]
    assert batch.steps(slots, Level.FULL) == {2: 1, 4: 1}
    assert batch.steps(slots, Level.DRY) == {4: 1}
    assert batch.steps(slots[:1], Level.LIGHT) == {1: 1}
    assert Batch(separator.net, 1, graphs=False).steps([0], Level.FULL) == {1: 1}
