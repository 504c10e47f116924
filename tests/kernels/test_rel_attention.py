"""Conformer time attention: every backend against the reference in float64, chunks against single frames."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kernels.reference.rel_attention import rel_attention
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to


def _inputs(positions: list[int], lengths: list[int], frames: int, heads: int, dim: int, window: int) -> list[Any]:
    generator = torch.Generator().manual_seed(sum(positions) % 1000 + frames)
    slots, tokens = len(positions), 2
    q, k, v = torch.randn(3, slots, tokens, frames, heads, dim, generator=generator).unbind(0)
    rings = torch.randn(2, slots, tokens, heads, window, dim, generator=generator)
    unwritten = torch.arange(window) >= torch.tensor(positions).unsqueeze(1)
    rings.masked_fill_(unwritten[None, :, None, None, :, None], torch.nan)
    distance = torch.randn(heads, window, generator=generator)
    return [q, k, v, rings[0], rings[1], distance, torch.tensor(positions), torch.tensor(lengths)]


SHAPES = [
    ([0], [1], 1, 1, 16, 1),
    ([0, 6, 7, 8], [1, 1, 1, 1], 1, 2, 16, 7),
    ([5, 2**33 + 1, 3], [1, 0, 1], 1, 3, 13, 48),
    ([0, 63, 64, 65, 130, 131, 400, 9], [1, 1, 1, 1, 1, 1, 1, 0], 1, 2, 13, 131),
    ([0, 5, 30], [4, 2, 0], 4, 2, 20, 7),
    ([3], [37], 37, 2, 16, 11),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("backend", "dtype"), backends("rel_attention"))
def test_error_is_that_of_torch(backend: str, dtype: torch.dtype, shape: Any) -> None:
    inputs = to(_inputs(*shape), dtype)
    wide, own = to(inputs, torch.float64), to(inputs, dtype, backend)
    exact, plain, ours = rel_attention(*wide), rel_attention(*inputs), load("rel_attention", backend)(*own)
    assert_close_as_torch(ours, plain, exact)
    for ring in (3, 4):
        torch.testing.assert_close(own[ring].cpu(), inputs[ring].cpu(), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("backend", names("rel_attention"))
def test_queries_keys_and_values_may_be_parts_of_longer_rows(backend: str, frames: int) -> None:
    inputs = _inputs([4, 9], [frames, frames], frames, 2, 16, 7)
    packed = torch.stack([x.flatten(3) for x in inputs[:3]], 3).unflatten(4, (2, 16)).unbind(3)
    assert not packed[0].is_contiguous()
    apart, together = to(inputs, torch.float32, backend), to(inputs, torch.float32, backend)
    together[:3] = [x.to(apart[0].device) for x in packed]
    op = load("rel_attention", backend)
    assert torch.equal(op(*apart), op(*together))
    assert torch.equal(apart[3].nan_to_num(), together[3].nan_to_num())


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("backend", ["reference", *names("rel_attention")])
def test_an_idle_slot_is_silent_and_keeps_its_rings(backend: str, frames: int) -> None:
    own = to(_inputs([4, 9, 2], [0, frames, 0], frames, 2, 16, 7), torch.float32, backend)
    for x in own[:3]:
        x[0] = torch.nan
    before = own[3].clone(), own[4].clone()
    y = load("rel_attention", backend)(*own)
    assert (y[0] == 0).all() and (y[2] == 0).all() and y[1].isfinite().all()
    for ring, old in zip(own[3:5], before, strict=True):
        for slot in (0, 2):
            torch.testing.assert_close(ring[slot], old[slot], rtol=0, atol=0, equal_nan=True)
        assert not torch.equal(ring[1], old[1])


@pytest.mark.parametrize("backend", ["reference", *names("rel_attention")])
def test_chunks_equal_single_frames(backend: str) -> None:
    inputs = _inputs([2], [9], 9, 2, 16, 5)
    chunk, single = to(inputs, torch.float32, backend), to(inputs, torch.float32, backend)
    whole = load("rel_attention", backend)(*chunk)
    for t in range(9):
        q, k, v = (x[:, :, t : t + 1].contiguous() for x in single[:3])
        y = load("rel_attention", backend)(q, k, v, *single[3:6], single[6] + t, torch.ones_like(single[7]))
        torch.testing.assert_close(y, whole[:, :, t : t + 1], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(chunk[3], single[3], rtol=0, atol=0, equal_nan=True)
