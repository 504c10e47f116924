"""One block of a band-split Conformer, its matrices in int8. Contract: `kernels.reference.conformer_step`."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from kernels.numba import conformer_step as float32
from kernels.numba_int8.quantize import Kept, quantize
from kernels.reference.conformer_step import ConformerWeights

_NO_MATRIX = ("distance", "depthwise")


def conformer_step(weights: ConformerWeights, x: Tensor, *rest: Any, **more: Any) -> Tensor:
    """As :func:`kernels.numba.conformer_step`."""
    return float32.conformer_step(int8_block(weights, weights), x, *rest, **more)


def _int8(weights: ConformerWeights) -> ConformerWeights:
    """Matrices are ``Quantized``, which compiled code takes in their place."""
    named = weights._asdict().items()
    return ConformerWeights(
        *(
            cast("Tensor", quantize(w)) if w.dim() == 2 and name not in _NO_MATRIX else w.detach().clone()
            for name, w in named
        )
    )


int8_block = Kept(_int8)
