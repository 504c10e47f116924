"""e to the power of float32 numbers inside compiled kernels, several at once. Knows bits of a float32; no op.

The C library's function is a call for every number, which keeps a loop from becoming vectors: exponentials were a fifth
of a Conformer block. This one is additions and products alone, so a loop over it becomes vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels.numba.compile import part

_LOWEST, _HIGHEST = np.float32(-87.33654), np.float32(89)  # below it is zero, there it is infinite
_LOG2_E = np.float32(1.44269504)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)  # together ln 2 to 33 bits
_ROUNDER = np.float32(12_582_912.0)  # 1.5 · 2²³: what is added to it is rounded to a whole number, its lowest bits
# Of (e^r - 1 - r) / r² where |r| <= ln 2 / 2: S. Moshier's Cephes, expf.
_C0, _C1, _C2 = np.float32(5.0000001201e-1), np.float32(1.6666665459e-1), np.float32(4.1665795894e-2)
_C3, _C4, _C5 = np.float32(8.3334519073e-3), np.float32(1.3981999507e-3), np.float32(1.9875691500e-4)


@intrinsic
def _bits(typingctx: Any, x: Any) -> Any:
    """The bits of a float32, as int32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), generate


@intrinsic
def _power_of_two(typingctx: Any, bits: Any) -> Any:
    """2 to the power of what ``_bits(n + _ROUNDER)`` holds, -126 <= n <= 127."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        exponent = builder.shl(args[0], ir.Constant(ir.IntType(32), 23))
        return builder.bitcast(builder.add(exponent, ir.Constant(ir.IntType(32), 127 << 23)), ir.FloatType())

    return types.float32(types.int32), generate


@part
def exp(x: Any) -> Any:
    """e^x of a float32, to 3 units of the last place; zero where that is no normal number, infinite from 88.4 on."""
    inside = _LOWEST if x < _LOWEST else x
    inside = _HIGHEST if inside > _HIGHEST else inside
    turns = inside * _LOG2_E
    n = np.rint(turns)
    r = inside - n * _LN2_HIGH - n * _LN2_LOW
    series = _C0 + r * (_C1 + r * (_C2 + r * (_C3 + r * (_C4 + r * _C5))))
    y = (np.float32(1) + (r + r * r * series)) * _power_of_two(_bits(turns + _ROUNDER))  # pyright: ignore[reportCallIssue]
    return np.float32(0) if x < _LOWEST else y
