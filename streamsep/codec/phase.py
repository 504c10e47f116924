"""Phases as unit complex numbers, never as angles: nothing wraps and nothing needs atan2. Knows columns and bins.

From one column to the next, 960 samples, a tone in the middle of bin k turns by exactly πk. Seen in a frame that turns
along, a steady tone stands still or turns slowly, by what it lies off the middle: that is what a net can predict.
"""

from __future__ import annotations

import torch
from torch import Tensor

from streamsep.config import BINS


def quietness(level: Tensor) -> Tensor:
    """[...] mean square of the mixture → magnitude of a bin, 60 dB below the mean, under which phases fade out."""
    return 1e-3 * (level * BINS).sqrt()


def unit(z: Tensor, quiet: Tensor | float = 1e-6) -> Tensor:
    """``z`` complex → its direction, shrunk to zero where ``|z|`` is below ``quiet``. Gradients are finite at zero."""
    magnitude = (z.real.square() + z.imag.square() + 1e-20).sqrt()
    return z / (magnitude + quiet)


def rotate_to_next(z: Tensor) -> Tensor:
    """Turn ``z`` [..., 961] complex by πk: what a tone in the middle of each bin does until the next column."""
    signs = 1.0 - 2.0 * (torch.arange(BINS, device=z.device) % 2)
    return z * signs


def pair(x: Tensor) -> Tensor:
    """[..., 2] real (cos, sin) of any length → [...] complex of length one (zero stays near zero)."""
    return unit(torch.complex(x[..., 0].float(), x[..., 1].float()))
