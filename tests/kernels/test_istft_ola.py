"""Overlap-add with a carried tail, and masks on columns: pieces equal the whole, idle slots stand still."""

from __future__ import annotations

import torch

from kernels.reference.istft_ola import istft_ola
from kernels.reference.mask_render import mask_render

HOP = 8
WINDOW = torch.sin(torch.pi * (torch.arange(2 * HOP, dtype=torch.float64) + 0.5) / (2 * HOP))


def _columns(wave: torch.Tensor) -> torch.Tensor:
    """[..., n] → [..., n / HOP, HOP + 1], a hop of silence before the first."""
    padded = torch.nn.functional.pad(wave, (HOP, 0))
    return torch.fft.rfft(padded.unfold(-1, 2 * HOP, HOP) * WINDOW)


def _wave(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_analysis_then_synthesis_is_the_identity_a_hop_later_in_any_pieces() -> None:
    wave = _wave(2, 3, 12 * HOP)
    columns, tail = _columns(wave), torch.zeros(2, 3, HOP, dtype=torch.float64)
    parts = [istft_ola(columns[:, :, a:b], WINDOW, tail) for a, b in ((0, 1), (1, 3), (3, 12))]
    torch.testing.assert_close(torch.cat(parts, -1)[..., HOP:], wave[..., :-HOP])


def test_an_idle_slot_keeps_its_tail() -> None:
    tail = _wave(2, HOP)
    before = tail.clone()
    istft_ola(_columns(_wave(2, 2 * HOP)), WINDOW, tail, torch.tensor([True, False]))
    assert torch.equal(tail[1], before[1]) and not torch.equal(tail[0], before[0])


def test_stems_under_gains_that_sum_to_the_identity_sum_to_the_mixture() -> None:
    stereo = _wave(1, 2, 4 * HOP)
    mid_side = torch.stack([stereo[:, 0] + stereo[:, 1], stereo[:, 0] - stereo[:, 1]], 1) * 0.5**0.5
    columns = _columns(mid_side)
    gains = torch.randn(1, 3, 2, 2, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gains[:, -1] = torch.eye(2)[:, :, None, None] - gains[:, :-1].sum(1)
    band = torch.arange(HOP + 1) * 5 // (HOP + 1)
    stems = mask_render(
        gains, columns, columns[:, None, ..., :0], band, WINDOW, torch.zeros(1, 3, 2, HOP, dtype=torch.float64)
    )
    assert stems.shape == (1, 3, 2, 4 * HOP)
    torch.testing.assert_close(stems.sum(1)[..., HOP:], stereo[..., :-HOP])


def test_a_gain_of_one_band_lets_only_its_bins_through() -> None:
    gains = torch.zeros(1, 1, 2, 2, 1, 3, dtype=torch.float64)
    gains[..., 1] = torch.eye(2)[:, :, None]
    band = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    columns = torch.ones(1, 2, 1, HOP + 1, dtype=torch.complex128)
    out = mask_render(
        gains, columns, columns[:, None, ..., :0], band, WINDOW, torch.zeros(1, 1, 2, HOP, dtype=torch.float64)
    )
    kept = columns * (band == 1)
    mid = istft_ola(kept, WINDOW, torch.zeros(1, 2, HOP, dtype=torch.float64))
    torch.testing.assert_close(out[0, 0, 0], (mid[0, 0] + mid[0, 1]) * 0.5**0.5)
