"""The residual MLP of single rows: every backend against the reference in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kernels.reference.frame_net import FrameBlockWeights, FrameNetWeights, frame_net
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

REAL = 64, 192, 384, 244


def _inputs(rows: int, inputs: int, dim: int, hidden: int, outputs: int, layers: int) -> tuple[Any, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows * dim + layers)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) / (shape[-1] ** 0.5 if len(shape) > 1 else 1)

    blocks = [
        FrameBlockWeights(rand(dim), rand(hidden, dim), rand(hidden), rand(dim, hidden), rand(dim))
        for _ in range(layers)
    ]
    straight = rand(outputs, inputs), rand(outputs), rand(dim, inputs), rand(dim)
    weights = FrameNetWeights(*straight, tuple(blocks), rand(dim), rand(outputs, dim))
    return weights, 4 * rand(rows, inputs)


def _moved(weights: FrameNetWeights, dtype: torch.dtype, backend: str = "reference") -> FrameNetWeights:
    blocks = tuple(FrameBlockWeights(*to(block, dtype, backend)) for block in weights.blocks)
    return FrameNetWeights(*to(weights, dtype, backend))._replace(blocks=blocks)


@pytest.mark.parametrize(
    ("sizes", "layers", "rows", "wanted"),
    [((7, 13, 31, 11), 1, 1, None), ((7, 13, 31, 11), 1, 19, 1), ((5, 3, 2, 17), 0, 3, 16), (REAL, 2, 4, 240)],
    ids=["one row", "one output", "no block", "real"],
)
@pytest.mark.parametrize(("backend", "dtype"), backends("frame_net"))
def test_error_is_that_of_torch(
    backend: str, dtype: torch.dtype, sizes: tuple[int, int, int, int], layers: int, rows: int, wanted: int | None
) -> None:
    weights, x = _inputs(rows, *sizes, layers)
    weights, (x,) = _moved(weights, dtype), to([x], dtype)
    exact = frame_net(_moved(weights, torch.float64), x.double(), wanted)
    plain = frame_net(weights, x, wanted)
    ours = load("frame_net", backend)(_moved(weights, dtype, backend), *to([x], dtype, backend), wanted)
    assert ours.shape == (rows, sizes[-1] if wanted is None else wanted)
    assert_close_as_torch(ours, plain, exact, roundings=3 + 2 * layers)  # products that follow another


@pytest.mark.parametrize("backend", ["reference", *names("frame_net")])
def test_a_poisoned_row_stays_alone_and_extremes_stay_finite(backend: str) -> None:
    weights, x = _inputs(4, 7, 13, 31, 11, 2)
    x[1], x[2], x[3] = torch.nan, 0.0, 1e4
    y = load("frame_net", backend)(
        _moved(weights, torch.float32, backend), *to([x.view(2, 2, -1)], torch.float32, backend)
    )
    assert y.shape == (2, 2, 11)
    y = y.flatten(0, 1)
    assert y[1].isnan().all() and y[[0, 2, 3]].isfinite().all()
    silent = weights._replace(enter=0 * weights.enter, enter_bias=0 * weights.enter_bias, blocks=())
    y = load("frame_net", backend)(_moved(silent, torch.float32, backend), *to([x[2:3]], torch.float32, backend))
    torch.testing.assert_close(y.cpu()[0], weights.straight_bias)  # the norm of nothing is nothing


@pytest.mark.parametrize("backend", names("frame_net"))
def test_a_weight_that_changes_in_place_is_seen(backend: str) -> None:
    weights, x = _inputs(2, 7, 13, 31, 11, 1)
    own, (x,) = _moved(weights, torch.float32, backend), to([x], torch.float32, backend)
    before = load("frame_net", backend)(own, x)
    own.blocks[0].down_bias.add_(1)
    after = load("frame_net", backend)(own, x)
    assert not torch.equal(after, before)
    torch.testing.assert_close(after, frame_net(own, x), atol=1e-5, rtol=1e-5)


def test_gelu_in_compiled_code_is_as_exact_as_torch() -> None:
    gelu = pytest.importorskip("kernels.numba.gelu").gelu
    x = torch.cat((torch.linspace(-14, 14, 2_801), torch.tensor([-torch.inf, -1e30, 0.0, 1e30, torch.inf, torch.nan])))
    ours = torch.tensor([gelu(each) for each in x.numpy()])
    exact, plain = (torch.nn.functional.gelu(each) for each in (x.double(), x))
    assert torch.equal(ours.isnan(), plain.isnan())
    inside = x.abs() <= 14
    assert_close_as_torch(ours[inside], plain[inside], exact[inside], roundings=0)
    near = x.abs() < 3  # where it is negative, it is small and as exact
    assert ((ours - exact).abs() <= 4e-6 * exact.abs())[near].all()
