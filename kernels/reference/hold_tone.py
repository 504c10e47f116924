"""A bass goes on as it sounded while a drum is hit. Knows gains and columns; nothing of how the gains came about.

Gains of a column share the mixture's phase among stems, so what hits a sounding string takes a part of it along. Yet a
steady tone turns by the same angle from column to column. That angle is learned from the stem as it was separated, and
what it foretells is taken out of the mixture before the gains share the rest: one step of a Kalman filter whose
transition is estimated as it goes (multi-frame filtering, Huang and Benesty, "A multi-frame approach to the frequency-
domain single-channel noise reduction problem", IEEE TASLP 20(4), 2012). Per bin, y being the stem a column before, N
the sum of what it has turned by, D of its power, D' what D was a column before, all three over the neighbours, too,
since a tone is heard in three bins:

    ρ = MOST · (|N|² / (D D'))² · √share     how sure: the tone is steady, and the stem was what was heard
    u = √(ρ · power) · N/|N| · y/|y|         power: the geometric mean of what is foretold and what the gains say, no
                                             more than these
    z = (I - ρ G)⁻¹ (x - u)                  what the others' gains are for; the stem gets what is left of x
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.reference.case import Case, Cost

FLOOR = 1e-9  # of power: silence has no tone
MOST = 0.95  # of what is foretold, lest an error live on for ever
KEPT = 9  # numbers a bin: mid and side of the stem and N, each of them complex, D, D', share


def hold_tone(
    gains: Tensor, spectrum: Tensor, stem: int, decay: float, kept: Tensor, active: Tensor | None = None
) -> Tensor:
    """Advance the columns of a frame.

    Args:
        gains: ``[B, G, S, 2 sides of the stem, 2 sides of the mixture, R, M]``; they sum to the identity over S.
        spectrum: ``[B, 2 sides, R, F]`` complex mid/side columns of the mixture.
        stem: which of S holds tones.
        decay: of what was learned, from a column to the next.
        kept: ``[B, G, KEPT, K]`` of the K lowest bins, each of which must be a band of its own; changed in place for
            active slots.
        active: ``[B]`` bool, all when None. Other slots' outputs mean nothing.

    Returns ``[B, G, S, 2 sides, R, K]`` complex: what is to be added to what the gains make of the lowest bins. It sums
    to zero over S.
    """
    bins = kept.shape[-1]
    heard = torch.view_as_real(spectrum[..., :bins])
    state, found = kept.to(heard.dtype), []
    for column in range(spectrum.shape[2]):
        gain = gains[..., column, :bins].to(heard.dtype)
        given = torch.view_as_complex(heard[:, None, :, column].contiguous())
        state, added = _column(gain, given, stem, decay, state)
        found.append(added)
    kept.copy_(state if active is None else torch.where(active[:, None, None, None], state, kept))
    return torch.stack(found, 4)


def _column(gain: Tensor, x: Tensor, stem: int, decay: float, state: Tensor) -> tuple[Tensor, Tensor]:
    """``gain`` [B, G, S, 2, 2, K], ``x`` [B, 1, 2, K] complex → the new state and [B, G, S, 2, K] complex."""
    own = gain[:, :, stem]
    before = torch.complex(state[:, :, 0:4:2], state[:, :, 1:4:2])
    turned = torch.complex(state[:, :, 4], state[:, :, 5])
    now, _, share = state[:, :, 6:].unbind(2)
    heard = _power(x) + FLOOR
    said = (x.conj() * _times(own, x)).real.sum(2).clamp(min=0).minimum(heard)  # of the stem, by its gains
    sum_of = _near(state[:, :, 4:8])
    length = (sum_of[:, :, 0].square() + sum_of[:, :, 1].square()).sqrt()
    d_now, d_then = sum_of[:, :, 2] + FLOOR, sum_of[:, :, 3] + FLOOR
    steady = (length / d_now) * (length / d_then)  # no more than 1, by Cauchy and Schwarz
    sure = MOST * steady.square() * share.sqrt()
    last = _power(before) + FLOOR
    foretold = last.sqrt() * (length / d_then)
    power = (said.sqrt() * foretold).minimum(said)
    angle = torch.complex(sum_of[:, :, 0], sum_of[:, :, 1]) / (length + FLOOR)
    tone = ((sure * power / last).sqrt() * angle)[:, :, None] * before
    z = _solve(sure, own, x - tone)
    moved = x - z
    added = -_times(gain, moved[:, :, None])
    added[:, :, stem] += moved
    y = moved + _times(own, z)
    turned = decay * turned + (y * before.conj()).sum(2)
    kept = [decay * now + _power(y), now, said / heard]
    parts = torch.view_as_real(y).movedim(-1, 3).flatten(2, 3)
    return torch.cat([parts, torch.stack([turned.real, turned.imag, *kept], 2)], 2), added


def _power(x: Tensor) -> Tensor:
    """Of both sides, [..., 2, K] complex → [..., K]."""
    return torch.view_as_real(x).square().sum((-3, -1))


def _times(gain: Tensor, x: Tensor) -> Tensor:
    """[..., 2, 2, K] · [..., 2, K] → [..., 2, K]."""
    return (gain * x.unsqueeze(-3)).sum(-2)


def _near(x: Tensor) -> Tensor:
    """Each bin with its neighbours, summed."""
    wide = F.pad(x, (1, 1))
    return wide[..., :-2] + wide[..., 1:-1] + wide[..., 2:]


def _solve(sure: Tensor, gain: Tensor, x: Tensor) -> Tensor:
    """(I - ρ G)⁻¹ x."""
    a, b = 1 - sure * gain[:, :, 0, 0], -sure * gain[:, :, 0, 1]
    d, e = -sure * gain[:, :, 1, 0], 1 - sure * gain[:, :, 1, 1]
    scale = 1 / (a * e - b * d)
    mid, side = x.unbind(2)
    return torch.stack([(e * mid - b * side) * scale, (a * side - d * mid) * scale], 2)


def cases() -> list[Case]:
    sizes = {"sets": 1, "stems": 4, "columns": 2, "bins": 32}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, sets: int, stems: int, columns: int, bins: int) -> Cost:
    """A square root or a quotient counts as one."""
    places = slots * sets * bins
    return Cost(
        flops=places * columns * (120 + 16 * stems),
        bytes=4 * (places * (2 * KEPT + 8 * stems * columns) + 4 * slots * columns * bins),
    )
