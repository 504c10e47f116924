"""Mask logits of the bands: every backend against the reference in float64."""

from __future__ import annotations

import pytest
import torch

from kernels.reference.guide_head import GuideWeights, guide_head
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

SIZES = {  # tokens, dim, bands, groups, width, hidden, rows, columns
    "primes": (3, 13, 7, 7, 5, 11, 3, 2),
    "one group": (2, 3, 5, 1, 3, 2, 1, 7),
    "small": (4, 16, 6, 3, 8, 33, 16, 4),
    "real": (3, 128, 6, 2, 32, 128, 16, 4),  # but for the number of bands, which the interpreter takes one by one
}


def _inputs(slots: int, size: str) -> list[torch.Tensor]:
    tokens, dim, bands, groups, width, hidden, rows, columns = SIZES[size]
    generator = torch.Generator().manual_seed(slots + dim)

    def rand(*shape: int, scale: float = 1.0) -> torch.Tensor:
        return scale * torch.randn(*shape, generator=generator)

    part, logits = bands // groups * width, rows * columns
    return [
        *(torch.randint(tokens, (bands,), generator=generator), rand(groups, dim, part, scale=dim**-0.5)),
        *(rand(groups, part), rand(2 * hidden, 2 * width, scale=(2 * width) ** -0.5), rand(2 * hidden)),
        *(rand(bands, hidden, logits, scale=hidden**-0.5), rand(bands, logits)),
        *(rand(slots, tokens, dim), rand(slots, bands, width)),
    ]


def _call(backend: str, inputs: list[torch.Tensor], rows: int) -> torch.Tensor:
    return load("guide_head", backend)(GuideWeights(*inputs[:-2]), *inputs[-2:], rows)


@pytest.mark.parametrize(
    ("size", "slots"), [("primes", 1), ("primes", 33), ("one group", 3), ("small", 17), ("real", 1), ("real", 2)]
)
@pytest.mark.parametrize(("backend", "dtype"), backends("guide_head"))
def test_error_is_that_of_torch(backend: str, dtype: torch.dtype, size: str, slots: int) -> None:
    inputs, rows = to(_inputs(slots, size), dtype), SIZES[size][-2]
    wide = to(inputs, torch.float64)
    exact = guide_head(GuideWeights(*wide[:-2]), *wide[-2:], rows)
    plain = guide_head(GuideWeights(*inputs[:-2]), *inputs[-2:], rows)
    ours = _call(backend, to(inputs, dtype, backend), rows)
    assert ours.dtype == torch.float32
    assert_close_as_torch(ours, plain, exact, roundings=4)


@pytest.mark.parametrize("backend", ["reference", *names("guide_head")])
def test_a_poisoned_slot_stays_alone_and_silence_stays_finite(backend: str) -> None:
    inputs = to(_inputs(4, "small"), torch.float32, backend)
    inputs[-2][1], inputs[-1][2] = torch.nan, torch.nan
    inputs[-2][3], inputs[-1][3] = 0.0, 0.0
    y = _call(backend, inputs, 16)
    assert y[1].isnan().all() and y[2].isnan().all() and y[[0, 3]].isfinite().all()


@pytest.mark.parametrize("backend", names("guide_head"))
def test_strided_inputs_and_changed_weights_are_taken_as_they_are(backend: str) -> None:
    inputs = to(_inputs(3, "small"), torch.float32, backend)
    *weights, tokens, target = inputs
    expected = _call(backend, inputs, 16)
    strided = tokens.transpose(0, 1).contiguous().transpose(0, 1), target.mT.contiguous().mT
    assert torch.equal(_call(backend, [*weights, *strided], 16), expected)
    weights[5].mul_(0.5)
    weights[6].mul_(0.5)
    torch.testing.assert_close(_call(backend, [*weights, tokens, target], 16), expected / 2)
