"""A bass that goes on as it sounded, in one kernel. Contract and formula: `kernels.reference.hold_tone`.

A program owns all bins of a set of stems of a slot, since each of them asks its neighbours.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference import hold_tone as formula
from kernels.triton.launch import block, check, lengths

_FLOOR, _MOST, _KEPT = tl.constexpr(formula.FLOOR), tl.constexpr(formula.MOST), tl.constexpr(formula.KEPT)


def hold_tone(
    gains: Tensor, spectrum: Tensor, stem: int, decay: float, kept: Tensor, active: Tensor | None = None
) -> Tensor:
    """As :func:`kernels.reference.hold_tone`, complex64 only; no gradients. What is kept must be contiguous
    (ValueError).
    """
    parts = torch.view_as_real(spectrum).contiguous()
    check("hold_tone", (gains, parts, kept))
    if not kept.is_contiguous():
        raise ValueError("hold_tone of triton changes a contiguous tensor only")
    slots, sets, stems, _, _, columns, bands = gains.shape
    bins = kept.shape[-1]
    added = torch.empty(slots, sets, stems, 2, columns, bins, 2, dtype=torch.float32, device=gains.device)
    _hold[(slots * sets,)](
        gains.contiguous(), parts, kept, lengths(kept[:, 0, 0, 0], active), added,
        sets, stems, columns, spectrum.shape[-1], bands, bins, stem, decay,
        BLOCK=block(bins), num_warps=1,
    )  # fmt: skip
    return torch.view_as_complex(added)


@triton.jit
def _hold(
    gains_ptr: tl.tensor,  # [B·G, S, 2 to, 2 from, R, M]
    spectrum_ptr: tl.tensor,  # [B, 2 sides, R, F, 2]
    kept_ptr: tl.tensor,  # [B·G, KEPT, K], changed in place
    moves_ptr: tl.tensor,  # [B], 0 or 1
    added_ptr: tl.tensor,  # [B·G, S, 2 sides, R, K, 2]
    sets: tl.tensor,
    stems: tl.tensor,
    columns: tl.tensor,
    all_bins: tl.tensor,
    bands: tl.tensor,
    bins: tl.tensor,
    stem: tl.tensor,
    decay: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    n = tl.program_id(0).to(tl.int64)
    b = n // sets
    k = tl.arange(0, BLOCK)
    there = k < bins
    gap = k[:, None] - k[None, :]
    near = (gap >= -1) & (gap <= 1)
    kept = kept_ptr + n * _KEPT * bins + k
    p, q = _load(kept, there), _load(kept + bins, there)  # the stem before: mid,
    s, t = _load(kept + 2 * bins, there), _load(kept + 3 * bins, there)  # and side
    n_re, n_im = _load(kept + 4 * bins, there), _load(kept + 5 * bins, there)
    now, then, share = _load(kept + 6 * bins, there), _load(kept + 7 * bins, there), _load(kept + 8 * bins, there)
    for r in range(columns):
        mid = spectrum_ptr + ((b * 2 * columns + r) * all_bins + k) * 2
        side = mid + columns * all_bins * 2
        a, c = _load(mid, there), _load(side, there)
        f, d = _load(mid + 1, there), _load(side + 1, there)
        gain = gains_ptr + ((n * stems + stem) * 4 * columns + r) * bands + k
        g, h = _load(gain, there), _load(gain + columns * bands, there)
        i, j = _load(gain + 2 * columns * bands, there), _load(gain + 3 * columns * bands, there)
        heard = a * a + f * f + c * c + d * d + _FLOOR
        said = g * (a * a + f * f) + j * (c * c + d * d) + (h + i) * (a * c + f * d)
        said = tl.where(said < 0.0, 0.0, tl.where(said > heard, heard, said))  # NaN stays
        turn_re, turn_im = _sum(n_re, near), _sum(n_im, near)
        d_now, d_then = _sum(now, near) + _FLOOR, _sum(then, near) + _FLOOR
        length = tl.sqrt(turn_re * turn_re + turn_im * turn_im)
        steady = (length / d_now) * (length / d_then)
        sure = _MOST * steady * steady * tl.sqrt(share)
        last = p * p + q * q + s * s + t * t + _FLOOR
        power = tl.sqrt(said) * tl.sqrt(last) * (length / d_then)
        power = tl.where(power > said, said, power)
        scale = tl.sqrt(sure * power / last) / (length + _FLOOR)
        u, v = scale * turn_re, scale * turn_im
        x0, x1 = a - (u * p - v * q), f - (u * q + v * p)
        y0, y1 = c - (u * s - v * t), d - (u * t + v * s)
        scale = 1.0 / ((1.0 - sure * g) * (1.0 - sure * j) - sure * h * (sure * i))
        z0 = ((1.0 - sure * j) * x0 + sure * h * y0) * scale
        z1 = ((1.0 - sure * j) * x1 + sure * h * y1) * scale
        w0 = ((1.0 - sure * g) * y0 + sure * i * x0) * scale
        w1 = ((1.0 - sure * g) * y1 + sure * i * x1) * scale
        m0, m1, o0, o1 = a - z0, f - z1, c - w0, d - w1
        for other in range(stems):
            mine = tl.where(k * 0 + other == stem, 1.0, 0.0)
            gain = gains_ptr + ((n * stems + other) * 4 * columns + r) * bands + k
            e00, e01 = _load(gain, there), _load(gain + columns * bands, there)
            e10, e11 = _load(gain + 2 * columns * bands, there), _load(gain + 3 * columns * bands, there)
            out = added_ptr + (((n * stems + other) * 2 * columns + r) * bins + k) * 2
            tl.store(out, mine * m0 - e00 * m0 - e01 * o0, mask=there)
            tl.store(out + 1, mine * m1 - e00 * m1 - e01 * o1, mask=there)
            tl.store(out + 2 * columns * bins, mine * o0 - e10 * m0 - e11 * o0, mask=there)
            tl.store(out + 2 * columns * bins + 1, mine * o1 - e10 * m1 - e11 * o1, mask=there)
        y_p, y_q = m0 + g * z0 + h * w0, m1 + g * z1 + h * w1
        y_s, y_t = o0 + i * z0 + j * w0, o1 + i * z1 + j * w1
        n_re = decay * n_re + y_p * p + y_q * q + y_s * s + y_t * t
        n_im = decay * n_im + y_q * p - y_p * q + y_t * s - y_s * t
        then = now
        now = decay * now + y_p * y_p + y_q * y_q + y_s * y_s + y_t * y_t
        share = said / heard
        p, q, s, t = y_p, y_q, y_s, y_t
    moves = there & (k * 0 + tl.load(moves_ptr + b) > 0)
    kind = kept_ptr.dtype.element_ty
    tl.store(kept, p.to(kind), mask=moves)
    tl.store(kept + bins, q.to(kind), mask=moves)
    tl.store(kept + 2 * bins, s.to(kind), mask=moves)
    tl.store(kept + 3 * bins, t.to(kind), mask=moves)
    tl.store(kept + 4 * bins, n_re.to(kind), mask=moves)
    tl.store(kept + 5 * bins, n_im.to(kind), mask=moves)
    tl.store(kept + 6 * bins, now.to(kind), mask=moves)
    tl.store(kept + 7 * bins, then.to(kind), mask=moves)
    tl.store(kept + 8 * bins, share.to(kind), mask=moves)


@triton.jit
def _load(at: tl.tensor, there: tl.tensor) -> tl.tensor:
    return tl.load(at, mask=there, other=0.0).to(tl.float32)


@triton.jit
def _sum(x: tl.tensor, near: tl.tensor) -> tl.tensor:
    """Each bin with its neighbours."""
    return tl.sum(tl.where(near, x[None, :], 0.0), 1)
