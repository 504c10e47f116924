"""The exponential of compiled kernels against that of numpy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.numba.compile import jit
from kernels.numba.exponential import exp


@jit
def _all(x: Any, y: Any) -> None:
    for i in range(len(x)):
        y[i] = exp(x[i])


def _exp(x: Any) -> Any:
    x = np.asarray(x, np.float32)
    y = np.empty_like(x)
    _all(x, y)
    return y


def test_it_errs_by_three_units_of_the_last_place_at_most() -> None:
    x = np.linspace(-87.3, 88.3, 1_000_003, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(_exp(x) - exact) <= 3 * np.finfo(np.float32).eps * exact).all()


def test_what_is_too_small_too_large_or_no_number() -> None:
    y = _exp([0.0, -87.4, -1e30, -np.inf, 89.0, 1e30, np.inf, np.nan, -0.0])
    np.testing.assert_array_equal(y, [1, 0, 0, 0, np.inf, np.inf, np.inf, np.nan, 1])
