"""Columns ↔ log band envelopes: what a semantic token describes. Knows bands and levels; knows nothing of tokens.

An envelope is a level-free log energy: 0 is 20 dB below the mean power of a bin at the given level, ±1 is ±30 dB, and
60 dB below that mean everything fades into the floor. Mid and side are summed: an envelope says what sounds, not where.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from streamsep.condition.bands import band_sum, band_widths
from streamsep.config import BINS, ENVELOPES, SUBFRAMES

ENVELOPE_FEATURES = SUBFRAMES * ENVELOPES  # 240, subframe-major
DB_PER_UNIT = 30.0  # an envelope step of 1
_FLOOR_POWER = 1e-6
FLOOR = -4.0 / 3.0  # the envelope of silence


def column_power(spectrum: Tensor) -> Tensor:
    """Power of mid plus side: [..., 2 sides, 2 subframes, 961] complex → [..., 2, 961].

    Accumulated in place: on a CPU a sum over the pairs of a complex tensor is ten times slower.
    """
    mid, side = spectrum.unbind(-3)
    power = mid.real.square()
    for part in (mid.imag, side.real, side.imag):
        power.addcmul_(part, part)
    return power


def log_envelopes(spectrum: Tensor, level: Tensor) -> Tensor:
    """Log band envelopes.

    Args:
        spectrum: [..., 2 sides, 2 subframes, 961] complex columns.
        level: [...] mean square of the mixture (it broadcasts), above zero.

    Returns [..., 240] float32, ``(log10(E / (level·961·width) + 1e-6) + 2) / 3``, first all bands of subframe 0.
    """
    return energy_envelopes(band_sum(column_power(spectrum)), level)


def energy_envelopes(energy: Tensor, level: Tensor) -> Tensor:
    """The same from band energies [..., 2 subframes, 120]."""
    scale = band_widths(energy.device) * (level.float() * BINS)[..., None, None]
    return ((torch.log10(energy / scale + _FLOOR_POWER) + 2.0) / 3.0).flatten(-2)


def natural_log_power(env: Tensor) -> Tensor:
    """[..., 240] envelopes → natural log of the power a bin, relative to ``level·961``, not below -60 dB."""
    return (env.float() * 3.0 - 2.0) * math.log(10.0)


def envelope_power(env: Tensor, level: Tensor | None = None) -> Tensor:
    """Inverse of :func:`log_envelopes`, never below zero.

    Args:
        env: [..., 240] envelopes.
        level: [...] mean square of the mixture. Without it powers stay relative to ``level·961`` per bin.

    Returns [..., 240]: the band's mean power per bin relative to ``level·961``, or with ``level`` the band's energy.
    """
    relative = (torch.pow(10.0, 3.0 * env.float() - 2.0) - _FLOOR_POWER).clamp(min=0.0)
    if level is None:
        return relative
    return relative * band_widths(relative.device).repeat(SUBFRAMES) * (level * BINS)[..., None]
