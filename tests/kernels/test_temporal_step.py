"""The compiled temporal step against its reference: at most twice the error of plain torch in the same precision."""

import pytest
import torch

from kernels.numba.temporal_step import temporal_step as numba_temporal_step
from kernels.reference import LayerWeights, rope_frequencies, rope_rotation, temporal_step

D, HEADS, KV, M, W = 64, 4, 2, 72, 7
HD = D // HEADS


def _layer() -> LayerWeights:
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5

    return LayerWeights(
        1 + rand(D), rand((HEADS + 2 * KV) * HD, D), rand(D, D), 1 + rand(D), rand(2 * M, D), rand(D, M)
    )


def _inputs(positions: list[int]) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(len(positions))
    position = torch.tensor(positions)
    x = torch.randn(len(positions), D, generator=generator)
    caches = torch.randn(2, len(positions), W, KV, HD, generator=generator)
    unwritten = torch.arange(W) >= position.unsqueeze(1)
    caches[:, unwritten] = torch.nan
    cos, sin = rope_rotation(position, rope_frequencies(HD))
    return x, caches[0].clone(), caches[1].clone(), position, cos, sin


@pytest.mark.parametrize("positions", [[0], [3], [6], [7], [2**40], [0, 5, 6, 7, 1000]])
def test_error_is_at_most_twice_that_of_torch(positions: list[int]) -> None:
    layer = _layer()
    x, k, v, position, cos, sin = _inputs(positions)
    double = LayerWeights(*(w.double() for w in layer))
    exact = temporal_step(double, x.double(), k.double(), v.double(), position, cos.double(), sin.double())
    torch_caches, numba_caches = (k.clone(), v.clone()), (k.clone(), v.clone())
    plain = temporal_step(layer, x, *torch_caches, position, cos, sin)
    fast = numba_temporal_step(layer, x, *numba_caches, position, cos, sin)
    floor = torch.finfo(torch.float32).eps * exact.abs().max()
    assert (fast - exact).abs().max() <= 2 * (plain - exact).abs().max() + floor
    for a, b in zip(numba_caches, torch_caches, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5, equal_nan=True)


def test_inactive_slots_keep_their_cache_and_poison_nobody() -> None:
    layer = _layer()
    x, k, v, position, cos, sin = _inputs([4, 9, 5])
    expected = numba_temporal_step(layer, x[1:2], k[1:2].clone(), v[1:2].clone(), position[1:2], cos[1:2], sin[1:2])
    x[0], x[2] = torch.nan, torch.nan
    before = k.clone(), v.clone()
    y = numba_temporal_step(layer, x, k, v, position, cos, sin, torch.tensor([False, True, True]))
    torch.testing.assert_close(y[1:2], expected, atol=1e-6, rtol=1e-6)
    assert torch.equal(k[0].nan_to_num(7.0), before[0][0].nan_to_num(7.0))
    assert torch.equal(v[0].nan_to_num(7.0), before[1][0].nan_to_num(7.0))
    assert (k[1, 9 % W] != before[0][1, 9 % W]).all()


def test_other_precisions_are_refused() -> None:
    x, k, v, position, cos, sin = _inputs([0])
    with pytest.raises(TypeError, match="float32"):
        numba_temporal_step(_layer(), x.bfloat16(), k, v, position, cos, sin)
