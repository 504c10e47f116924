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
