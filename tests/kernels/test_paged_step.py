"""The temporal step over pages: the bits of the one over a ring, whichever pages a slot has, and nobody else's rows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kernels.numba.paged_step import paged_step as numba_step
from kernels.numba.temporal_step import temporal_step as numba_ring
from kernels.reference import LayerWeights, rope_frequencies, rope_rotation, temporal_step
from kernels.reference.paged_step import paged_step

D, HEADS, KV, M, PAGE, RING = 64, 4, 2, 72, 3, 4
HD, W = D // HEADS, PAGE * RING
PAIRS = [(paged_step, temporal_step), (numba_step, numba_ring)]


def _rand(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5


def _layer() -> LayerWeights:
    g = torch.Generator().manual_seed(0)
    qkv = _rand(g, (HEADS + 2 * KV) * HD, D)
    return LayerWeights(1 + _rand(g, D), qkv, _rand(g, D, D), 1 + _rand(g, D), _rand(g, 2 * M, D), _rand(g, D, M))


@pytest.mark.parametrize(("paged", "ring"), PAIRS, ids=["reference", "numba"])
@pytest.mark.parametrize("positions", [[0], [PAGE - 1, PAGE, W - 1, W], [3 * W + 1, 2**40, 5]])
def test_pages_have_the_bits_of_a_ring(paged, ring, positions: list[int]) -> None:  # noqa: ANN001
    g = torch.Generator().manual_seed(1)
    layer, slots = _layer(), len(positions)
    position = torch.tensor(positions)
    k, v = (torch.randn(slots, W, KV, HD, generator=g) for _ in range(2))
    for cache in (k, v):
        cache[torch.arange(W) >= position.unsqueeze(1)] = torch.nan
    table = torch.randperm(slots * RING + 2, generator=g)[: slots * RING].view(slots, RING)
    k_pages, v_pages = (torch.full((slots * RING + 2, PAGE, KV, HD), torch.nan) for _ in range(2))
    k_pages[table], v_pages[table] = (x.unflatten(1, (RING, PAGE)) for x in (k, v))
    for step in range(2 * W):
        x = torch.randn(slots, D, generator=g)
        cos, sin = rope_rotation(position + step, rope_frequencies(HD))
        expected = ring(layer, x, k, v, position + step, cos, sin)
        assert torch.equal(paged(layer, x, k_pages, v_pages, table, position + step, cos, sin), expected)
    assert torch.equal(k_pages[table].flatten(1, 2), k) and torch.equal(v_pages[table].flatten(1, 2), v)
    others = torch.ones(len(k_pages), dtype=torch.bool)
    others[table] = False
    assert k_pages[others].isnan().all() and v_pages[others].isnan().all()


@pytest.mark.parametrize("paged", [paged_step, numba_step], ids=["reference", "numba"])
def test_masked_slots_write_nothing(paged) -> None:  # noqa: ANN001
    g = torch.Generator().manual_seed(2)
    position, active = torch.tensor([4, 9, 5]), torch.tensor([False, True, False])
    k_pages, v_pages = (torch.randn(3 * RING, PAGE, KV, HD, generator=g) for _ in range(2))
    table = torch.arange(3 * RING).view(3, RING)
    before = k_pages.clone(), v_pages.clone()
    cos, sin = rope_rotation(position, rope_frequencies(HD))
    x = torch.randn(3, D, generator=g)
    x[~active] = torch.nan
    y = paged(_layer(), x, k_pages, v_pages, table, position, cos, sin, active)
    assert y[1].isfinite().all()
    for now, then in zip((k_pages, v_pages), before, strict=True):
        changed = (now != then).flatten(2).any(-1).nonzero().tolist()
        assert changed == [[RING + 9 // PAGE, 9 % PAGE]]


def test_other_precisions_are_refused() -> None:
    none = torch.zeros(1, PAGE, KV, HD)
    with pytest.raises(TypeError, match="float32"):
        numba_step(_layer(), torch.zeros(1, D).half(), none, none, torch.zeros(1, RING), torch.zeros(1), none, none)
