"""Weight matrices inside compiled kernels, float32, float16 or int8: which product is compiled is decided by the type.

In compiled code a float32 matrix is an array ``[..., O, I]``, one of float16 its bits as uint16, an int8 one a pair:
``[..., O, I]`` int8 and ``[..., O]`` float32: what a row of the first is to be multiplied with. A frame reads every
weight once, so that its time is mostly the memory's: what was stored in fewer bytes is read in as few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import types
from numba.extending import overload
from torch import Tensor

from kernels.numba.compile import INLINED, array
from kernels.numba.linear import add_linear

_LAST_BITS = 2.0**-22


class Quantized(NamedTuple):
    """A matrix of int8, one scale a row: weight[..., o, i] ≈ codes[..., o, i] · scale[..., o]."""

    codes: Tensor  # [..., O, I] int8
    scale: Tensor  # [..., O] float32


def quantize(weight: Tensor) -> Quantized:
    """Round each row of ``weight`` [..., O, I] to 255 steps: no number moves by more than half a step of its row."""
    weight = weight.detach().float()
    scale = weight.abs().amax(-1, keepdim=True) / 127
    scale = scale.masked_fill(scale == 0, 1)
    return Quantized((weight / scale).round().char(), scale.squeeze(-1))


def restore(matrix: Quantized) -> Tensor:
    """The float32 matrix that ``matrix`` stands for."""
    return matrix.codes.float() * matrix.scale.unsqueeze(-1)


def smallest(weights: Sequence[Tensor]) -> list[Any]:
    """What compiled code takes for matrices in as few bytes as hold them, all of one kind: bytes, else ``halved``."""
    rounded: list[Quantized] = []
    for weight in weights:
        few = quantize(weight)
        # Bytes times scales are rounded: what was made so is made so again to the last bit but one.
        if not (weight.isfinite().all() and torch.allclose(restore(few), weight.detach(), rtol=_LAST_BITS, atol=0)):
            return halved(weights)
        rounded.append(few)
    return [numbers(few) for few in rounded]


def halved(weights: Sequence[Tensor]) -> list[Any]:
    """The bits of float16 where these are the numbers of all ``weights``; else their numbers."""
    halves = [weight.detach().half() for weight in weights]
    if all(torch.equal(half.float(), weight.detach()) for half, weight in zip(halves, weights, strict=True)):
        return [array(half).view(np.uint16) for half in halves]
    return [array(weight) for weight in weights]


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
        return lambda x, weight, y: add_linear(x, weight[0], y, weight[1])
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
