"""Decimal logarithms of float32 numbers inside compiled kernels, several at once. Knows bits of a float32; no op.

The C library's function is a call for every number, which keeps a loop from becoming vectors. This one is whole numbers
and products alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.numba.compile import part

_LOG10_E, _LOG10_2 = np.float32(0.4342944819), np.float32(0.3010299957)
_HALF_ROOT = np.int32(0x3F3504F3)  # the bits of √½: what is left of a number lies in √½ … √2
# Of (log(1 + m) - m + m²/2) / m³ there: S. Moshier's Cephes, logf.
_C0, _C1, _C2 = np.float32(3.3333331174e-1), np.float32(-2.4999993993e-1), np.float32(2.0000714765e-1)
_C3, _C4, _C5 = np.float32(-1.6668057665e-1), np.float32(1.4249322787e-1), np.float32(-1.2420140846e-1)
_C6, _C7, _C8 = np.float32(1.1676998740e-1), np.float32(-1.1514610310e-1), np.float32(7.0376836292e-2)


@part
def log10(x: Any) -> Any:
    """log10 of a normal float32 above zero, to a unit of the last place; of infinity and NaN themselves."""
    # Numba widens sums of int32; told each time, it stays at 32 bits, of which a vector holds twice as many.
    bits = np.float32(x).view(np.int32)
    exponent = np.int32(np.int32(bits - _HALF_ROOT) >> np.int32(23))
    m = np.int32(bits - np.int32(exponent << np.int32(23))).view(np.float32) - np.float32(1)
    series = _C0 + m * (_C1 + m * (_C2 + m * (_C3 + m * (_C4 + m * (_C5 + m * (_C6 + m * (_C7 + m * _C8)))))))
    square = m * m
    log = m + (series * m * square - np.float32(0.5) * square)
    return log * _LOG10_E + np.float32(exponent) * _LOG10_2 if x < np.float32(np.inf) else x
