"""Band energies: numba against the reference in double precision, over odd shapes."""

from __future__ import annotations

import pytest
import torch

from kernels.numba.band_energies import band_energies as fast
from kernels.reference.band_energies import band_energies as reference

SHAPES = [(1, 1, 1, 7, (0, 7)), (2, 3, 5, 11, (0, 1, 2, 11)), (3, 4, 13, 31, (0, 5, 5, 17, 31)), (1, 2, 0, 3, (0, 3))]


@pytest.mark.parametrize("batch, stems, rows, bins, edges", SHAPES)
def test_numba_is_as_exact_as_torch(batch: int, stems: int, rows: int, bins: int, edges: tuple[int, ...]) -> None:
    x = torch.randn(batch, stems, rows, bins, dtype=torch.complex128, generator=torch.Generator().manual_seed(bins))
    bands = torch.tensor(edges)
    narrow = x.to(torch.complex64)
    exact, plain, found = reference(narrow.to(x.dtype), bands), reference(narrow, bands), fast(narrow, bands)
    for want, torchs, ours in zip(exact, plain, found, strict=True):
        assert ours.shape == want.shape
        allowed = 2 * (torchs - want).abs().amax() if want.numel() else 0.0
        assert torch.all((ours - want).abs() <= allowed + 1e-6 * want.abs())


def test_an_empty_band_has_no_energy() -> None:
    mix, _, stem = fast(torch.ones(1, 2, 3, 31, dtype=torch.complex64), torch.tensor([0, 5, 5, 17, 31]))
    assert (mix[..., 1] == 0).all() and (stem[..., 1] == 0).all()
    assert (mix[..., 0] == 20).all()  # (1 + 1)² a bin


def test_a_view_that_is_not_contiguous() -> None:
    x = torch.randn(2, 6, 3, 8, dtype=torch.complex64).transpose(0, 1)[::2]
    bands = torch.tensor([0, 3, 8])
    for ours, want in zip(fast(x, bands), reference(x, bands), strict=True):
        torch.testing.assert_close(ours, want)


def test_other_precisions_are_refused() -> None:
    with pytest.raises(ValueError, match="complex64"):
        fast(torch.ones(1, 1, 1, 3, dtype=torch.complex128), torch.tensor([0, 3]))
