"""Fusion of guide and tokens: every backend against the reference in float64."""

from __future__ import annotations

import pytest
import torch

from kernels.reference.fuse_masks import FuseWeights, fuse_masks
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to


def _inputs(slots: int, stems: int, columns: int, bands: int) -> list[torch.Tensor]:
    """The weights, then the rest."""
    generator = torch.Generator().manual_seed(stems * bands)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    weights = FuseWeights(rand(1)[0], rand(stems), rand(stems, 2, bands), rand(stems), 3 + rand(stems))
    logits, envelopes = rand(slots, stems, 2, columns, bands), rand(slots, stems, columns * bands)
    return [*weights, 3 * logits, envelopes, rand(slots, stems)]


def _split(inputs: list[torch.Tensor]) -> tuple[FuseWeights, torch.Tensor, torch.Tensor, torch.Tensor]:
    return FuseWeights(*inputs[:5]), inputs[5], inputs[6], inputs[7]


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 3, 1, 5), (3, 5, 3, 37), (2, 4, 2, 120)])
@pytest.mark.parametrize(("backend", "dtype"), backends("fuse_masks"))
def test_error_is_that_of_torch(backend: str, dtype: torch.dtype, sizes: tuple[int, int, int, int]) -> None:
    inputs = to(_inputs(*sizes), dtype)
    exact, plain = fuse_masks(*_split(to(inputs, torch.float64))), fuse_masks(*_split(inputs))
    assert_close_as_torch(load("fuse_masks", backend)(*_split(to(inputs, dtype, backend))), plain, exact, 2)


@pytest.mark.parametrize("backend", ["reference", *names("fuse_masks")])
def test_masks_are_shares_a_poisoned_slot_stays_alone_and_extremes_are_finite(backend: str) -> None:
    weights, logits, envelopes, entropy = _split(to(_inputs(5, 3, 2, 7), torch.float32, backend))
    logits[1], envelopes[2], entropy[3] = torch.nan, torch.nan, torch.nan
    logits[4] *= 1_000
    masks = load("fuse_masks", backend)(weights, logits, envelopes, entropy)
    assert masks[1:4].isnan().all()
    torch.testing.assert_close(masks[[0, 4]].sum(1), torch.ones_like(masks[:2, 0]))


@pytest.mark.parametrize("backend", names("fuse_masks"))
def test_parts_of_larger_tensors_are_read_as_they_are(backend: str) -> None:
    call, inputs = load("fuse_masks", backend), to(_inputs(3, 3, 2, 7), torch.float32, backend)
    parts = [torch.stack((x, torch.zeros_like(x)), -1)[..., 0] for x in inputs]
    assert torch.equal(call(*_split(parts)), call(*_split(inputs)))
