"""How numba functions are compiled here, and how they get numbers. Knows numba's options; knows no op."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
from numba.core import event
from torch import Tensor

# Sums may be reordered (that is what makes them vectors), but infinities and NaN keep their meaning: masks need them.
_FASTMATH = {"reassoc", "contract", "arcp", "nsz"}
INLINED: Any = {"forceinline": True}  # see `part`


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first call; keep the machine code between processes where numba finds a folder it may write to.

    Numba looks beside the source, then in the user's cache folder (``NUMBA_CACHE_DIR`` overrides both). Where neither
    can be written, every process compiles anew. Numba watches only the file of the function itself: after a change in a
    file that others call into, delete their ``__pycache__/*.nbi``.
    """
    return _compiled(function, {})


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """``jit`` for what other compiled functions call: it is inlined in each.

    Else it would be a symbol that every caller brings along, of which the linker keeps a process's first. The sums of
    that one may be ordered otherwise than those of the others: the last bits would tell what ran before.
    """
    return _compiled(function, INLINED)


def _compiled(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    options = {"fastmath": _FASTMATH, "nogil": True, "error_model": "numpy", **options}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no writable cache folder
        return numba.njit(**options)(function)


@contextmanager
def noticing(tell: Callable[[], None]) -> Generator[None]:
    """Call ``tell`` as soon as something is compiled inside that the disk has not kept: from then on it takes long."""
    with event.install_listener("numba:compile", _First(tell)):
        yield


class _First(event.Listener):
    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell: Callable[[], None] | None = tell

    def on_start(self, event: event.Event) -> None:
        if self._tell is not None:
            self._tell()
            self._tell = None

    def on_end(self, event: event.Event) -> None:
        pass


def array(tensor: Tensor) -> Any:
    """A tensor's numbers in C order; a view where they already are."""
    return np.ascontiguousarray(tensor.detach().numpy())
