"""A linear map for each of some groups: every backend against the reference in float64."""

from __future__ import annotations

import pytest
import torch

from kernels.reference.group_linear import GroupWeights, group_linear
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to


def _inputs(slots: int, inputs: int, groups: int, dim: int, outputs: int) -> list[torch.Tensor]:
    """Weight, bias, input of each group, x, second bias."""
    generator = torch.Generator().manual_seed(slots + dim)

    def rand(*shape: int, scale: float = 1.0) -> torch.Tensor:
        return scale * torch.randn(*shape, generator=generator)

    return [
        *(rand(groups, dim, outputs, scale=dim**-0.5), rand(groups, outputs)),
        *(torch.randint(inputs, (groups,), generator=generator), rand(slots, inputs, dim), rand(groups, outputs)),
    ]


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize(
    "sizes", [(1, 1, 1, 1, 1), (3, 2, 5, 13, 7), (1, 6, 8, 160, 128), (2, 8, 8, 128, 40), (65, 3, 2, 19, 33)]
)
@pytest.mark.parametrize(("backend", "dtype"), backends("group_linear"))
def test_error_is_that_of_torch(backend: str, dtype: torch.dtype, sizes: tuple[int, ...], more: bool) -> None:
    def call(backend: str, inputs: list[torch.Tensor]) -> torch.Tensor:
        weight, bias, heard, x, second = inputs
        return load("group_linear", backend)(GroupWeights(weight, bias, heard), x, second if more else None)

    inputs = to(_inputs(*sizes), dtype)
    exact, plain = call("reference", to(inputs, torch.float64)), call("reference", inputs)
    assert_close_as_torch(call(backend, to(inputs, dtype, backend)), plain, exact)


@pytest.mark.parametrize("backend", ["reference", *names("group_linear")])
def test_a_poisoned_slot_stays_alone_and_changed_weights_are_seen(backend: str) -> None:
    weight, bias, heard, x, _ = to(_inputs(3, 2, 5, 13, 7), torch.float32, backend)
    x[1], x[2] = torch.nan, 0.0
    call, strided = load("group_linear", backend), x.mT.contiguous().mT
    y = call(GroupWeights(weight, bias, heard), strided)
    assert y[0].isfinite().all() and y[1].isnan().all() and torch.equal(y[2], bias)
    bias.add_(1)
    torch.testing.assert_close(call(GroupWeights(weight, bias, heard), strided)[0], y[0] + 1)
    torch.testing.assert_close(y[0], group_linear(GroupWeights(weight, bias - 1, heard), x)[0], atol=1e-5, rtol=1e-5)
