"""Pages: each has one owner, streams in them have the bits of streams in rings, and a full pool says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from streamsep.engine.batch import Batch
from streamsep.engine.memory import Footprint
from streamsep.engine.pages import PagePool
from streamsep.engine.parked import Parked
from streamsep.engine.separator import Separator, load
from streamsep.engine.settings import Settings
from streamsep.errors import CapacityError, ParkedError
from streamsep.lm.pages import NOBODY, Pages, page_rows, ring_pages
from streamsep.model.net import Net
from tests.engine.helpers import Player, play, stack
from tests.model.small import SMALL, small_net
from tests.sounds import tune

RING = ring_pages(SMALL.lm)


def poisoned(net: Net, streams: int) -> PagePool:
    with torch.inference_mode():
        return PagePool(Pages(net.config.lm, streams * ring_pages(net.config.lm), poison=True))


def test_a_page_divides_the_window() -> None:
    assert [page_rows(window) for window in (6, 16, 128, 500, 13, 31)] == [6, 16, 16, 10, 13, 1]


def test_pages_have_one_owner() -> None:
    pool = PagePool(Pages(SMALL.lm, 2 * RING + RING - 1))
    a, b = pool.take("a"), pool.take("b")
    assert len(a) == len(b) == RING and not set(a) & set(b) and NOBODY not in a + b
    with pytest.raises(CapacityError, match=f"needs {RING} pages and {RING - 1} of {3 * RING - 1} are free"):
        pool.take("c")
    assert pool.owned("c") == [] and pool.free == RING - 1
    pool.give_back("a")
    assert sorted(pool.take("c")) == sorted(a)
    pool.give_back("nobody")
    with pytest.raises(ValueError, match="b has its pages"):
        pool.take("b")


def test_what_is_freed_is_poisoned() -> None:
    pages = Pages(SMALL.lm, 2 * RING, poison=True)
    pool = PagePool(pages)
    mine = pool.take("a")
    for store in (pages.keys(0), pages.values(1)):
        assert store.isnan().all()
        store[mine] = 1.0
    pool.give_back("a")
    assert pages.keys(0).isnan().all() and pages.values(1).isnan().all()


def test_a_full_pool_refuses_and_recovers(separator: Separator) -> None:
    batch = Batch(separator.net, 4, pool=poisoned(separator.net, 2))
    first, second = batch.open(0), batch.open(0)
    with pytest.raises(CapacityError, match="pages"):
        batch.open(0)
    assert batch.taken == 2
    batch.close(first)
    assert batch.open(1) == first
    song = tune(0.3, 48_000)
    batch.close(second)
    player = Player(batch, song, 48_000, 0)
    play(batch, [player])
    assert np.array_equal(player.stems(), stack(separator.separate(song, 48_000)))


def test_two_renders_share_a_pool(separator: Separator) -> None:
    pool = poisoned(separator.net, 2)
    batches = [Batch(separator.net, 2, Settings(render), pool=pool) for render in ("mask", "codec")]
    for batch in batches:
        batch.open(0)
    with pytest.raises(CapacityError):
        batches[0].open(0)


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("lookahead", [-1, 0, 2])
def test_poisoned_pages_are_never_read(model: Path, backend: str, lookahead: int) -> None:
    separator = load(model)
    separator.net.select_kernels("cpu", backend)
    batch = Batch(separator.net, 3, pool=poisoned(separator.net, 3))
    song = tune(0.6, 48_000)
    for round in range(2):
        players = [Player(batch, tune(0.2 + 0.2 * n, 48_000, seed=n + round), 48_000, lookahead) for n in range(2)]
        players.append(Player(batch, song, 48_000, lookahead))
        play(batch, players, np.random.default_rng(round))
        for player in players:
            assert np.isfinite(player.stems()).all()
            batch.close(player.slot)
        expected = stack(separator.separate(song, 48_000, lookahead))
        np.testing.assert_allclose(players[-1].stems(), expected, atol=1e-5)


@pytest.mark.parametrize("render", ["mask", "codec"])
@pytest.mark.parametrize("lookahead", [-1, 0, 1])
@pytest.mark.parametrize("seed", [None, 7])
def test_a_parked_stream_goes_on_with_its_bits(
    separator: Separator, tmp_path: Path, render: str, lookahead: int, seed: int | None
) -> None:
    batch = Batch(separator.net, 3, Settings(render), pool=poisoned(separator.net, 2))
    song = tune(1.0, 48_000)
    player = Player(batch, song, 48_000, lookahead, seed)
    ticks = 0
    while player.lane.due():
        player.give(batch.tick({player.slot: player.lane.next()})[player.slot])
        ticks += 1
        if ticks % 7 == 3:
            parked = batch.save(player.slot)
            batch.close(player.slot)
            stranger = Player(batch, tune(0.2, 48_000, seed=ticks), 48_000, 0)
            batch.tick({stranger.slot: stranger.lane.next()})
            if ticks % 2:
                parked.to_file(tmp_path / "parked.safetensors")
                parked = Parked.from_file(tmp_path / "parked.safetensors")
            player.slot = batch.load(parked)
            batch.close(stranger.slot)
            assert all(tensor.isfinite().all() for tensor in parked.tensors.values())
    alone = Separator(separator.net, render).separate(song, 48_000, lookahead, seed)
    assert np.array_equal(player.stems(), stack(alone))


def test_what_cannot_be_resumed_is_said(separator: Separator, tmp_path: Path) -> None:
    batch = Batch(separator.net, 2, pool=poisoned(separator.net, 1))
    slot = batch.open(0)
    parked = batch.save(slot)
    with pytest.raises(CapacityError):
        batch.load(parked)
    batch.close(slot)
    other = small_net()
    with torch.no_grad():
        other.trunk.encoder.position.add_(1)
    strangers = [Batch(separator.net, 1, settings) for settings in (Settings("codec"), Settings(decodes=("soft",)))]
    for stranger in (*strangers, Batch(other, 1)):
        with pytest.raises(ParkedError, match="another model or another render"):
            stranger.load(parked)
    missing = dict(parked.tensors)
    missing.popitem()
    narrow = parked.tensors | {name: x[..., :1] for name, x in parked.tensors.items() if name.endswith("keys")}
    past = {name: x - 1 for name, x in parked.tensors.items() if name.endswith("temporal.position")}
    hops = {"heard": torch.zeros(9, 2, 480), "state.ahead.masks": torch.zeros(4, 2, 2, 1)}
    for tensors in (missing, narrow, parked.tensors | past, *(parked.tensors | {name: hops[name]} for name in hops)):
        with pytest.raises(ParkedError, match="damaged"):
            batch.load(Parked(parked.facts, tensors))
        assert batch.taken == 0
    with pytest.raises(ParkedError, match="no lookahead 7"):
        batch.load(Parked(replace(parked.facts, lookahead=7), parked.tensors))
    with pytest.raises(ParkedError, match="no seed 'x'"):
        batch.load(Parked(replace(parked.facts, seed="x"), parked.tensors))  # pyright: ignore[reportArgumentType]
    for wrong in ((7, None), (0, 2**63)):
        with pytest.raises(ValueError):
            batch.open(*wrong)
    assert batch.taken == 0 and batch.load(parked) == slot  # nothing was lost on the way
    file = tmp_path / "parked.safetensors"
    parked.to_file(file)
    file.write_bytes(file.read_bytes()[:-100])
    (tmp_path / "text").write_text("hello")
    for path in (file, tmp_path / "text", tmp_path / "none"):
        with pytest.raises(ParkedError, match="is no parked stream, or is damaged"):
            Parked.from_file(path)
    with pytest.raises(ParkedError, match="cannot be written"):
        parked.to_file(tmp_path / "missing" / "parked.safetensors")


def test_a_budget_is_kept(separator: Separator) -> None:
    of = Footprint.of(separator.net)
    streams = of.streams(10 * of.stream + of.page)
    assert streams == 10
    pool = poisoned(separator.net, streams)
    batch = Batch(separator.net, streams, pool=pool)
    dense = sum(tensor.nbytes for _, tensor in batch._slots.state.named_tensors())
    paged = 2 * pool.pages.keys(0).nbytes * SMALL.lm.layers
    assert dense + paged == 10 * of.stream + of.page
    assert of.pages(10 * of.stream + of.page, 10) == 10 * of.ring
    assert of.pages(10 * of.slot + of.page * (of.ring + 1), 10) == of.ring
    with pytest.raises(CapacityError, match="the budget is 0.0 MB"):
        of.streams(1_000)
    with pytest.raises(CapacityError, match="100 places"):
        of.pages(10 * of.slot, 100)
