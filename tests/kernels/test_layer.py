"""Layers put together from Triton's kernels: every precision against the reference in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kernels.reference import LayerWeights, rope_frequencies, rope_rotation, temporal_step
from kernels.reference.paged_step import paged_step
from tests.kernels.backends import assert_close_as_torch, backends, load, to

D, HEADS, M, PAGE, RING = 64, 4, 72, 3, 4
HD, W = D // HEADS, PAGE * RING


def _inputs(positions: list[int], kv_heads: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The layer's weights, and x, caches, position, cos, sin, active; rows never written are NaN."""
    generator = torch.Generator().manual_seed(len(positions))

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5

    qkv = rand((HEADS + 2 * kv_heads) * HD, D)
    layer = [1 + rand(D), qkv, rand(D, D), 1 + rand(D), rand(2 * M, D), rand(D, M)]
    position = torch.tensor(positions)
    caches = torch.randn(2, len(positions), W, kv_heads, HD, generator=generator)
    caches[:, torch.arange(W) >= position.unsqueeze(1)] = torch.nan
    active = torch.arange(len(positions)) != 1
    x = torch.randn(len(positions), D, generator=generator)
    return layer, [x, *caches, position, *rope_rotation(position, rope_frequencies(HD)), active]


def _run(step: Any, layer: list[Any], state: list[Any], paged: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs of active slots, and both caches afterwards."""
    x, k, v, position, cos, sin, active = state
    if paged:
        count = len(x) * RING
        table = torch.randperm(count, generator=torch.Generator().manual_seed(0)).view(len(x), RING).to(x.device)
        pages = [torch.empty(count, PAGE, *k.shape[2:], dtype=k.dtype, device=k.device) for _ in range(2)]
        for pool, cache in zip(pages, (k, v), strict=True):
            pool[table] = cache.unflatten(1, (RING, PAGE))
        y = step(LayerWeights(*layer), x, *pages, table, position, cos, sin, active)
        caches = torch.stack([pool[table].flatten(1, 2) for pool in pages])
    else:
        y = step(LayerWeights(*layer), x, k, v, position, cos, sin, active)
        caches = torch.stack((k, v))
    return y[active], caches


@pytest.mark.parametrize("positions", [[0], [W - 1, W, W + 1], [3 * W + 1, 2**40, 5, 0]])
@pytest.mark.parametrize("kv_heads", [1, 4])
@pytest.mark.parametrize(
    ("op", "reference", "backend", "dtype"),
    [
        pytest.param(op, reference, *case.values, marks=case.marks, id=f"{op}-{case.id}")
        for op, reference in (("paged_step", paged_step), ("temporal_step", temporal_step))
        for case in backends(op)
    ],
)
def test_error_is_that_of_torch(
    op: str, reference: Any, backend: str, dtype: torch.dtype, kv_heads: int, positions: list[int]
) -> None:
    layer, state = (to(part, dtype) for part in _inputs(positions, kv_heads))
    paged = op == "paged_step"
    exact = _run(reference, to(layer, torch.float64), to(state, torch.float64), paged)
    plain = _run(reference, to(layer, dtype), to(state, dtype), paged)
    ours = _run(load(op, backend), to(layer, dtype, backend), to(state, dtype, backend), paged)
    for a, b, c in zip(ours, plain, exact, strict=True):
        assert_close_as_torch(a, b, c)
