"""Norm, gate and products over rows: every backend against the reference in float64."""

from __future__ import annotations

import pytest
import torch

from kernels import reference
from kernels.reference.linear_residual import linear_residual
from kernels.reference.norm_linear import norm_linear
from kernels.reference.norm_swiglu import norm_swiglu
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

SHAPES = [(1, 1), (1, 256), (2, 37), (7, 113), (16, 193), (17, 129), (67, 64), (3, 1031)]


def _rand(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("backend", "dtype"), backends("rms_norm"))
def test_rms_norm(backend: str, dtype: torch.dtype, shape: tuple[int, int]) -> None:
    inputs = to([_rand(*shape) * 3, 1 + 0.3 * _rand(shape[1])], dtype)
    ours = load("rms_norm", backend)(*to(inputs, dtype, backend))
    assert_close_as_torch(ours, reference.rms_norm(*inputs), reference.rms_norm(*to(inputs, torch.float64)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("backend", "dtype"), backends("swiglu"))
def test_swiglu(backend: str, dtype: torch.dtype, shape: tuple[int, int]) -> None:
    inputs = to([_rand(2, shape[0], 2 * shape[1]) * 3], dtype)
    ours = load("swiglu", backend)(*to(inputs, dtype, backend))
    assert_close_as_torch(ours, reference.swiglu(*inputs), reference.swiglu(*to(inputs, torch.float64)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("hidden", [5, 83])
@pytest.mark.parametrize(("backend", "dtype"), backends("norm_swiglu"))
def test_norm_swiglu(backend: str, dtype: torch.dtype, shape: tuple[int, int], hidden: int) -> None:
    x, weight = _rand(*shape), _rand(2 * hidden, shape[1]) / shape[1] ** 0.5
    inputs = to([x, 1 + 0.3 * _rand(shape[1]), weight], dtype)
    ours = load("norm_swiglu", backend)(*to(inputs, dtype, backend))
    exact = norm_swiglu(*to(inputs, torch.float64))
    assert_close_as_torch(ours, norm_swiglu(*inputs), exact, roundings=2)  # the gate's product follows two others


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("out", [5, 83])
@pytest.mark.parametrize(("backend", "dtype"), backends("norm_linear"))
def test_norm_linear(backend: str, dtype: torch.dtype, shape: tuple[int, int], out: int) -> None:
    weight = _rand(out, shape[1]) / shape[1] ** 0.5
    inputs = to([_rand(2, *shape) * 3, 1 + 0.3 * _rand(shape[1]), weight], dtype)
    ours = load("norm_linear", backend)(*to(inputs, dtype, backend))
    assert_close_as_torch(ours, norm_linear(*inputs), norm_linear(*to(inputs, torch.float64)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("out", [5, 83])
@pytest.mark.parametrize(("backend", "dtype"), backends("linear_residual"))
def test_linear_residual(backend: str, dtype: torch.dtype, shape: tuple[int, int], out: int) -> None:
    inputs = to([_rand(1, *shape), _rand(out, shape[1]) / shape[1] ** 0.5, _rand(1, shape[0], out)], dtype)
    own = to(inputs, dtype, backend)
    ours = load("linear_residual", backend)(*own)
    assert_close_as_torch(ours, linear_residual(*inputs), linear_residual(*to(inputs, torch.float64)))
    assert torch.equal(own[2].cpu(), inputs[2].cpu())


@pytest.mark.parametrize("backend", names("rms_norm"))
def test_a_silent_row_stays_silent_and_a_poisoned_one_alone(backend: str) -> None:
    x = _rand(3, 16)
    x[0], x[1] = 0.0, torch.nan
    y = load("rms_norm", backend)(*to([x, torch.ones(16)], torch.float32, backend))
    assert (y[0] == 0).all() and y[1].isnan().all() and y[2].isfinite().all()


@pytest.mark.parametrize(("op", "count"), [("rms_norm", 2), ("swiglu", 1), ("norm_swiglu", 3), ("linear_residual", 3)])
def test_other_precisions_are_refused_by_numba(op: str, count: int) -> None:
    with pytest.raises(TypeError, match="float32"):
        load(op, "numba")(*[torch.zeros(4, 4, dtype=torch.float64)] * count)
