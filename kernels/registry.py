"""Which implementation serves an op. Knows names and devices; imports a backend only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Implementation:
    """One backend's version of an op."""

    op: str
    backend: str
    module: str
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Resolved:
    """A chosen implementation, ready to call."""

    implementation: Implementation
    function: Callable[..., Any]

    def __str__(self) -> str:
        return f"{self.implementation.op}: {self.implementation.backend}"


# In order of preference.
IMPLEMENTATIONS: tuple[Implementation, ...] = (
    Implementation("depth_decode", "numba", "kernels.numba.depth_decode", ("cpu",)),
    Implementation("temporal_step", "numba", "kernels.numba.temporal_step", ("cpu",)),
    Implementation("paged_step", "numba", "kernels.numba.paged_step", ("cpu",)),
    Implementation("paged_step", "reference", "kernels.reference.paged_step", ("cpu", "cuda")),
    Implementation("conformer_step", "numba", "kernels.numba.conformer_step", ("cpu",)),
    Implementation("conformer_step", "reference", "kernels.reference.conformer_step", ("cpu", "cuda")),
    Implementation("band_energies", "numba", "kernels.numba.band_energies", ("cpu",)),
    Implementation("band_energies", "reference", "kernels.reference.band_energies", ("cpu", "cuda")),
    Implementation("temporal_step", "reference", "kernels.reference.temporal_step", ("cpu", "cuda")),
    Implementation("depth_decode", "reference", "kernels.reference.depth_decode", ("cpu", "cuda")),
)


def resolve(op: str, device: str, backend: str = "auto") -> Resolved:
    """Choose an implementation once; there is no later fallback.

    Args:
        op: e.g. ``depth_decode``.
        device: ``cpu`` or ``cuda``.
        backend: a backend's name, or ``auto`` for the preferred one on the device.

    Raises ValueError when nothing fits, and whatever the backend raises when it cannot be imported.
    """
    fitting = [known for known in IMPLEMENTATIONS if known.op == op and device in known.devices]
    chosen = [known for known in fitting if backend in ("auto", known.backend)]
    if not chosen:
        names = ", ".join(known.backend for known in fitting) or "none"
        raise ValueError(f"no '{backend}' implementation of '{op}' on {device}: there is {names}")
    return Resolved(chosen[0], getattr(importlib.import_module(chosen[0].module), op))
