"""Means of code vectors and their entropy: every backend against the reference in float64."""

from __future__ import annotations

import math

import pytest
import torch

from kernels.reference.posterior_mean import posterior_mean
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

SHAPES = [(1, 4, 4, 512, 64), (3, 2, 3, 37, 5), (7, 1, 1, 65, 17), (5, 4, 2, 1, 3), (17, 4, 1, 16, 64)]


def _inputs(slots: int, stems: int, books: int, codes: int, width: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(slots * codes)
    logits = 3 * torch.randn(slots, stems, books + 1, codes, generator=generator)
    return [logits, torch.randn(books, codes, width, generator=generator)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("backend", "dtype"), backends("posterior_mean"))
def test_error_is_that_of_torch(backend: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    inputs = to(_inputs(*shape), dtype)
    exact, plain = posterior_mean(*to(inputs, torch.float64)), posterior_mean(*inputs)
    ours = load("posterior_mean", backend)(*to(inputs, dtype, backend))
    for own, torchs, true in zip(ours, plain, exact, strict=True):
        assert_close_as_torch(own, torchs, true, roundings=2)


@pytest.mark.parametrize("backend", ["reference", *names("posterior_mean")])
def test_of_what_is_certain_and_of_what_is_not(backend: str) -> None:
    logits, vectors = to(_inputs(2, 1, 2, 16, 4), torch.float32, backend)
    logits[0], logits[1] = -1e4, 0.0
    logits[0, :, :, 3] = 0.0
    latent, entropy = load("posterior_mean", backend)(logits, vectors)
    sums = torch.stack((vectors[:, 3].sum(0), vectors.mean(1).sum(0)))
    torch.testing.assert_close(latent[:, 0], sums, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(entropy[:, 0].cpu(), torch.tensor([0.0, math.log(16)]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("backend", ["reference", *names("posterior_mean")])
def test_a_poisoned_slot_stays_alone(backend: str) -> None:
    logits, vectors = to(_inputs(3, 2, 2, 19, 4), torch.float32, backend)
    alone = load("posterior_mean", backend)(logits[2:].clone(), vectors)
    logits[1] = torch.nan
    latent, entropy = load("posterior_mean", backend)(logits, vectors)
    assert latent[1].isnan().all() and entropy[1].isnan().all() and latent[0].isfinite().all()
    torch.testing.assert_close((latent[2:], entropy[2:]), alone, atol=1e-6, rtol=1e-6)
