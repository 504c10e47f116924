"""The exact GELU inside compiled kernels, several numbers at once. Knows a formula; no op.

gelu(x) = x · (1 + erf(x / √2)) / 2,  and with t = |x| / √2:  erfc(t) = 1 - erf(t) = e^(-t · r(t))

The C library's erf is a call for every number; here r is a polynomial, so that a loop becomes vectors. What is left of
a negative x is the small number itself, not one minus something close to one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.numba.compile import part
from kernels.numba.exponential import exp

_ROOT_HALF = np.float32(0.70710678)
# Fitted to the least largest error of erfc for 0 <= t <= 6.5, which is 2e-8; t · r(t) keeps growing behind.
_C0, _C1, _C2, _C3 = np.float32(1.1283803), np.float32(0.63659775), np.float32(0.10291961), np.float32(-0.019583957)
_C4, _C5 = np.float32(5.3692918e-4), np.float32(1.0324044e-3)
_C6, _C7 = np.float32(-3.0880308e-4), np.float32(3.1440275e-5)


@part
def gelu(x: Any) -> Any:
    """Of a float32, as near to the true value as torch's; NaN of NaN."""
    t = abs(x) * _ROOT_HALF
    r = _C0 + t * (_C1 + t * (_C2 + t * (_C3 + t * (_C4 + t * (_C5 + t * (_C6 + t * _C7))))))
    tail = np.float32(0.5) * exp(-t * r)
    return x * (tail if x < np.float32(0) else np.float32(1) - tail)
