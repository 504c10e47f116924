"""Weight matrices inside compiled kernels, float32 or int8: which product is compiled is decided by the type.

In compiled code a float32 matrix is an array ``[..., O, I]``, an int8 one a pair: ``[..., O, I]`` int8 and ``[..., O]``
float32: what a row of the first is to be multiplied with. The functions but ``numbers`` are for compiled code only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numba import types
from numba.extending import overload
from torch import Tensor

from kernels.numba.compile import INLINED, array
from kernels.numba.linear import add_linear, add_linear_int8


class Quantized(NamedTuple):
    """A matrix of int8, one scale a row: weight[..., o, i] ≈ codes[..., o, i] · scale[..., o]."""

    codes: Tensor  # [..., O, I] int8
    scale: Tensor  # [..., O] float32


def numbers(weight: Tensor | Quantized) -> Any:
    """What compiled code takes for ``weight``; views where it already is in C order."""
    return (array(weight.codes), array(weight.scale)) if isinstance(weight, Quantized) else array(weight)


def add_product(x: Any, weight: Any, y: Any) -> None:
    """y += x · weightᵀ: x ``[M, I]``, weight ``[O, I]``, y ``[M, O]``."""
    raise NotImplementedError


def outputs(weight: Any) -> int:
    """Length of the first axis."""
    raise NotImplementedError


def pick(weights: Any, index: int) -> Any:
    """One of several matrices ``[Q, O, I]``."""
    raise NotImplementedError


@overload(add_product, strict=False, jit_options=INLINED)
def _add_product(x: Any, weight: Any, y: Any) -> Callable[..., None]:
    if isinstance(weight, types.BaseTuple):
        return lambda x, weight, y: add_linear_int8(x, weight[0], weight[1], y)
    return lambda x, weight, y: add_linear(x, weight, y)


@overload(outputs, strict=False, jit_options=INLINED)
def _outputs(weight: Any) -> Callable[..., int]:
    if isinstance(weight, types.BaseTuple):
        return lambda weight: weight[0].shape[0]
    return lambda weight: weight.shape[0]


@overload(pick, strict=False, jit_options=INLINED)
def _pick(weights: Any, index: Any) -> Callable[..., Any]:
    if isinstance(weights, types.BaseTuple):
        return lambda weights, index: (weights[0][index], weights[1][index])
    return lambda weights, index: weights[index]
