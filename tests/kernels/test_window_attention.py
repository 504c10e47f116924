import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from kernels.reference import ring_append, window_attention, window_attention_step, window_bias


def _rows(
    length: int, heads: int = 4, kv_heads: int = 2, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(length)
    return tuple(torch.randn(2, length, h, 8, generator=generator, dtype=dtype) for h in (heads, kv_heads, kv_heads))


@pytest.mark.parametrize(("length", "window"), [(1, 1), (7, 3), (8, 4), (9, 4), (20, 4), (16, 16), (16, 99), (13, 1)])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_equals_fused_attention(length: int, window: int, kv_heads: int) -> None:
    q, k, v = _rows(length, kv_heads=kv_heads)
    bias = window_bias(length, length, window).double()
    q_, k_, v_ = (x.transpose(1, 2) for x in (q, k, v))
    expected = scaled_dot_product_attention(q_, k_, v_, bias, enable_gqa=True).transpose(1, 2)
    torch.testing.assert_close(window_attention(q, k, v, window), expected)


@pytest.mark.parametrize(("length", "window"), [(10, 4), (10, 6)])
def test_sees_the_window_and_nothing_else(length: int, window: int) -> None:
    q, k, v = _rows(length)
    v.requires_grad_()
    for t in range(length):
        (grad,) = torch.autograd.grad(window_attention(q, k, v, window)[:, t].sum(), v)
        seen = grad.abs().sum((0, 2, 3)) > 0
        assert seen.tolist() == [t - window < u <= t for u in range(length)]


def test_steps_over_a_poisoned_ring_equal_the_sequence() -> None:
    window, length = 5, 17
    q, k, v = _rows(length)
    caches = [torch.full((2, window, 2, 8), torch.nan, dtype=torch.float64) for _ in range(2)]
    out = []
    for t in range(length):
        position = torch.full((2,), t)
        ring_append(caches[0], k[:, t], position)
        ring_append(caches[1], v[:, t], position)
        out.append(window_attention_step(q[:, t], caches[0], caches[1], position))
    torch.testing.assert_close(torch.stack(out, 1), window_attention(q, k, v, window))


def test_append_leaves_inactive_slots_alone() -> None:
    cache = torch.zeros(3, 4, 1, 2)
    ring_append(cache, torch.full((3, 1, 2), torch.nan), torch.tensor([0, 5, 9]), torch.tensor([False, False, False]))
    assert not cache.isnan().any()
    ring_append(cache, torch.ones(3, 1, 2), torch.tensor([0, 5, 9]), torch.tensor([True, False, True]))
    assert cache.sum((1, 2, 3)).tolist() == [2, 0, 2]
    assert cache[2, 1].sum() == 2
