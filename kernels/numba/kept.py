"""What was made of a group of weights, kept as long as they are what they were. Knows tensors; knows no op."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, TypeVar, cast

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from kernels.numba.matrices import Quantized, numbers, smallest

Weights = TypeVar("Weights", bound=tuple[Any, ...])
Made = TypeVar("Made")


class Kept(Generic[Weights, Made]):
    """``make``'s result for a group of weights, as long as its first tensor lives and none of it changes."""

    def __init__(self, make: Callable[[Weights], Made]) -> None:
        self._make = make
        self._made: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def __call__(self, weights: Weights) -> Made:
        tensors = _tensors(weights)
        stamp = [(x.data_ptr(), 0 if x.is_inference() else x._version) for x in tensors]
        known = self._made.get(tensors[0])
        if known is None or known[0] != stamp:
            known = self._made[tensors[0]] = stamp, self._make(weights)
        return cast("Made", known[1])


def _tensors(group: Iterable[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for each in group:
        if isinstance(each, tuple):
            found += _tensors(cast("tuple[Any, ...]", each))
        else:
            found.append(each)
    return found


def _numbers(group: Any) -> Any:
    if isinstance(group, Tensor | Quantized):
        return numbers(group)
    return tuple(_numbers(each) for each in group)


def smallest_matrices(weights: Any, keep: Collection[str] = ()) -> tuple[Any, ...]:
    """What compiled code takes for a named tuple: matrices in as few bytes as hold them, but for those of ``keep``."""
    names = [
        name for name, each in weights._asdict().items()
        if name not in keep and isinstance(each, Tensor) and each.dim() > 1
    ]  # fmt: skip
    found = dict(zip(names, smallest([getattr(weights, name) for name in names]), strict=True))
    return tuple(found[name] if name in found else _numbers(each) for name, each in weights._asdict().items())


# What compiled code takes for a group of weights, groups inside as tuples. To look the numbers of a tensor up takes
# some 3 us, and a frame needs those of 250.
kept_numbers: Kept[Any, Any] = Kept(_numbers)
kept_matrices: Kept[Any, Any] = Kept(smallest_matrices)
