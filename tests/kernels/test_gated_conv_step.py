"""Gate, convolution, norm and SiLU of a frame: every backend against the reference in float64."""

from __future__ import annotations

import pytest
import torch

from kernels.reference.gated_conv_step import gated_conv_step
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

ACTIVE = torch.tensor([True, False, True])


def _inputs(tokens: int, dim: int, kernel: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(tokens * dim)
    x, past = (torch.randn(3, tokens, *rest, generator=generator) for rest in ((2 * dim,), (kernel - 1, dim)))
    weight, norm = torch.randn(kernel, dim, generator=generator), torch.randn(dim, generator=generator)
    return [x, past, weight, 1 + 0.3 * norm]


STRIDED = torch.stack((ACTIVE, ~ACTIVE), 1)[:, 0]


@pytest.mark.parametrize("active", [None, ACTIVE, STRIDED], ids=["all", "some", "strided"])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize(("tokens", "dim"), [(1, 3), (2, 131), (8, 128), (5, 257)])
@pytest.mark.parametrize(("backend", "dtype"), backends("gated_conv_step"))
def test_error_is_that_of_torch(
    backend: str, dtype: torch.dtype, tokens: int, dim: int, kernel: int, active: torch.Tensor | None
) -> None:
    inputs = to(_inputs(tokens, dim, kernel), dtype)
    wide, own = to(inputs, torch.float64), to(inputs, dtype, backend)
    before = own[1].clone()
    mask, own_mask = to([active], dtype)[0], to([active], dtype, backend)[0]
    exact, plain = gated_conv_step(*wide, mask), gated_conv_step(*inputs, mask)
    ours = load("gated_conv_step", backend)(*own, own_mask)
    moving = ACTIVE if active is not None else torch.ones(3, dtype=torch.bool)
    assert_close_as_torch(ours[moving], plain[moving], exact[moving])
    if kernel > 1:
        assert torch.equal(own[1][~moving], before[~moving])
        assert torch.equal(own[1][moving, :, :-1], before[moving, :, 1:])
        assert_close_as_torch(own[1][moving, :, -1], inputs[1][moving, :, -1], wide[1][moving, :, -1])


@pytest.mark.parametrize("backend", ["reference", *names("gated_conv_step")])
def test_a_poisoned_slot_stays_alone_and_silence_stays_silent(backend: str) -> None:
    x, past, weight, norm = to(_inputs(2, 16, 4), torch.float32, backend)
    x[1], past[1], x[2], past[2] = torch.nan, torch.nan, 0.0, 0.0
    y = load("gated_conv_step", backend)(x, past, weight, norm)
    assert y[0].isfinite().all() and y[1].isnan().all() and (y[2] == 0).all()
    assert past[0].isfinite().all() and (past[2] == 0).all()


@pytest.mark.parametrize("backend", names("gated_conv_step"))
def test_a_past_that_is_a_part_of_something_is_refused(backend: str) -> None:
    x, past, weight, norm = to(_inputs(2, 16, 4), torch.float32, backend)
    with pytest.raises(ValueError, match="contiguous"):
        load("gated_conv_step", backend)(x, past.mT.contiguous().mT, weight, norm)
