"""What tests of backends share: who is there, and the rule that an error is at most twice that of plain torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.registry import IMPLEMENTATIONS, resolve

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
_OTHERS = ("reference", "numba_int8")  # int8 has other weights, and tests of its own
HALF = (torch.float16, torch.bfloat16) if DEVICE == "cuda" else (torch.float16,)
_NO_TRITON = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the package triton is missing")


def backends(op: str) -> list[Any]:
    """Parameters (backend, dtype) of all but the reference: every precision that each knows."""
    out: list[Any] = []
    for known in IMPLEMENTATIONS:
        if known.op != op or known.backend in _OTHERS:
            continue
        marks = [_NO_TRITON] if known.backend == "triton" else []
        dtypes = (torch.float32, *HALF) if known.backend == "triton" else (torch.float32,)
        for dtype in dtypes:
            name = f"{known.backend}-{str(dtype).removeprefix('torch.')}"
            out.append(pytest.param(known.backend, dtype, marks=marks, id=name))
    return out


def names(op: str) -> list[Any]:
    """Parameters: every backend but the reference."""
    return [
        pytest.param(known.backend, marks=[_NO_TRITON] if known.backend == "triton" else [])
        for known in IMPLEMENTATIONS
        if known.op == op and known.backend not in _OTHERS
    ]


def load(op: str, backend: str) -> Callable[..., Any]:
    device = "cpu" if backend.startswith("numba") else DEVICE
    return resolve(op, device, backend).function


def to(values: Iterable[Any], dtype: torch.dtype, backend: str = "reference") -> list[Any]:
    """Copies of the tensors among ``values``, floats in ``dtype``, where ``backend`` wants them. Complex numbers follow
    to double precision only.
    """
    device = "cpu" if backend.startswith("numba") else DEVICE

    def move(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        follows = torch.complex128 if x.is_complex() and dtype == torch.float64 else x.dtype
        return x.clone().to(device, dtype if x.is_floating_point() else follows)

    return [move(x) for x in values]


def assert_close_as_torch(ours: Tensor, plain: Tensor, exact: Tensor, roundings: int = 1) -> None:
    """Against the float64 ``exact``, ours errs at most twice as much as ``plain``, torch in the same precision.

    Torch may be lucky in a few numbers, so ``roundings`` of the largest are allowed on top: one for every product that
    follows another.
    """
    assert ours.shape == exact.shape and ours.dtype == plain.dtype
    eps = torch.finfo(plain.dtype).eps
    ours, plain, exact = (x.double().cpu() for x in (ours, plain, exact))
    assert torch.equal(ours.isnan(), exact.isnan()), "NaN where there is none, or none where there is"
    error, limit = ((x - exact).nan_to_num().abs().max() for x in (ours, plain))
    assert error <= 2 * limit + roundings * eps * exact.nan_to_num().abs().max()
