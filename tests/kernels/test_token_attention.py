"""Attention among tokens: every backend against the reference in float64."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from kernels.reference.token_attention import token_attention
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

SHAPES = [(1, 1, 1, 16), (2, 8, 4, 32), (3, 7, 3, 13), (2, 17, 2, 20), (1, 30, 1, 64)]


def _inputs(*shape: int) -> torch.Tensor:
    frames, tokens, heads, dim = shape
    return torch.randn(frames, tokens, 3, heads, dim, generator=torch.Generator().manual_seed(sum(shape)))


def test_the_formula_is_that_of_torch() -> None:
    qkv = _inputs(2, 7, 3, 13).double()
    q, k, v = (x.transpose(1, 2) for x in qkv.unbind(2))
    torch.testing.assert_close(token_attention(qkv), scaled_dot_product_attention(q, k, v).transpose(1, 2))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("backend", "dtype"), backends("token_attention"))
def test_error_is_that_of_torch(backend: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    inputs = to([_inputs(*shape)], dtype)
    ours = load("token_attention", backend)(*to(inputs, dtype, backend))
    exact = token_attention(*to(inputs, torch.float64))
    assert_close_as_torch(ours, token_attention(*inputs), exact, roundings=2)


@pytest.mark.parametrize("backend", ["reference", *names("token_attention")])
def test_a_poisoned_frame_stays_alone(backend: str) -> None:
    (qkv,) = to([_inputs(3, 7, 2, 13)], torch.float32, backend)
    qkv[1] = torch.nan
    y = load("token_attention", backend)(qkv)
    assert y[1].isnan().all() and y[[0, 2]].isfinite().all()
