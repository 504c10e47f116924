"""Running mean square of a sound in one kernel, a program a slot. Contract: `kernels.reference.track_level`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.track_level import FLOOR
from kernels.triton.launch import check, lengths

_BLOCK = 2048


def track_level(
    spectrum: Tensor, decay: Tensor, power: Tensor, weight: Tensor, active: Tensor | None = None, floor: float = FLOOR
) -> Tensor:
    """As :func:`kernels.reference.track_level`, complex64 only; no gradients. What is kept must be contiguous
    (ValueError).
    """
    check("track_level", (decay, power, weight))
    if spectrum.dtype != torch.complex64:
        raise TypeError(f"track_level of triton takes complex64, not {spectrum.dtype}")
    if not (power.is_contiguous() and weight.is_contiguous()):
        raise ValueError("track_level of triton moves contiguous tensors only")
    slots, bins = spectrum.shape[0], spectrum.shape[3]
    columns = torch.view_as_real(spectrum.resolve_conj()).contiguous()
    out = torch.empty(slots, dtype=torch.float32, device=power.device)
    _track[(slots,)](
        columns, decay.contiguous(), power, weight, lengths(power[:, 0], active), out, 8 * bins, 1.0 / bins**2, floor,
        BLOCK=_BLOCK, num_warps=8,
    )  # fmt: skip
    return out


@triton.jit
def _track(
    columns_ptr: tl.tensor,  # [B, 8·F]
    decay_ptr: tl.tensor,  # [2]
    power_ptr: tl.tensor,  # [B, 2], changed in place
    weight_ptr: tl.tensor,  # [B, 2], changed in place
    moves_ptr: tl.tensor,  # [B], 0 or 1
    out_ptr: tl.tensor,  # [B]
    numbers: tl.tensor,
    scale: tl.tensor,
    floor: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    slot = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, BLOCK)
    squares = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, numbers, BLOCK):
        x = tl.load(columns_ptr + slot * numbers + start + i, mask=start + i < numbers, other=0.0)
        squares += x * x
    k = tl.arange(0, 2)
    moves = k * 0 + tl.load(moves_ptr + slot) > 0
    decay, at = tl.load(decay_ptr + k).to(tl.float32), slot * 2 + k
    total = decay * tl.load(power_ptr + at).to(tl.float32) + tl.sum(squares, 0) * scale
    times = decay * tl.load(weight_ptr + at).to(tl.float32) + 1.0
    mean = total / times
    tl.debug_barrier()  # all threads have read what one of them writes
    tl.store(power_ptr + at, total.to(power_ptr.dtype.element_ty), mask=moves)
    tl.store(weight_ptr + at, times.to(weight_ptr.dtype.element_ty), mask=moves)
    broken = tl.sum((mean != mean).to(tl.int32), 0) > 0  # a maximum passes over NaN
    level = tl.maximum(tl.max(mean, 0), floor)
    tl.store(out_ptr + slot, tl.where(broken, float("nan"), level))
