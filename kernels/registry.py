"""Which implementation serves an op. Knows names, devices and packages; imports a backend only when it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

VARIABLE = "STREAMSEP_KERNELS"
EVERY = "all"

_log = logging.getLogger(__name__)
_DEVICES = {
    "triton": ("cuda",),
    "numba": ("cpu",),
    "native": ("cpu", "cuda"),
    "reference": ("cpu", "cuda"),
    "numba_int8": ("cpu",),
}
_PACKAGES = {"triton": "triton", "numba": "numba", "numba_int8": "numba"}
# Backends in order of preference; those that do not serve a device are left out there. What comes after the reference,
# which always serves, is had by name only: it changes the result.
_OPS = {
    "band_embedding": ("triton", "numba", "reference"),
    "band_energies": ("numba", "reference"),
    "conformer_step": ("triton", "numba", "reference", "numba_int8"),
    "conv_stream": ("triton", "numba", "native", "reference"),
    "depth_decode": ("triton", "numba", "reference", "numba_int8"),
    "depth_entry": ("triton", "numba", "reference"),
    "frame_net": ("triton", "numba", "reference"),
    "fuse_masks": ("triton", "numba", "reference"),
    "gated_conv_step": ("triton", "reference"),
    "group_linear": ("triton", "numba", "reference"),
    "guide_envelopes": ("triton", "numba", "reference"),
    "guide_head": ("triton", "numba", "reference"),
    "hold_tone": ("triton", "numba", "reference"),
    "istft_ola": ("reference",),
    "linear_residual": ("triton", "numba", "native", "reference"),
    "mask_render": ("triton", "numba", "reference"),
    "norm_linear": ("triton", "reference"),
    "norm_qkv_rope_append": ("triton", "numba", "reference"),
    "norm_swiglu": ("triton", "numba", "reference"),
    "paged_attention": ("triton", "numba", "native", "reference"),
    "paged_step": ("triton", "numba", "reference", "numba_int8"),
    "posterior_mean": ("triton", "numba", "reference"),
    "recall": ("triton", "numba", "reference"),
    "rel_attention": ("triton", "numba", "reference"),
    "rms_norm": ("triton", "numba", "native", "reference"),
    "rvq_decode": ("triton", "numba", "reference"),
    "rvq_encode": ("triton", "numba", "reference"),
    "sample": ("triton", "numba", "reference"),
    "spatial_gains": ("triton", "numba", "reference"),
    "swiglu": ("triton", "numba", "reference"),
    "temporal_entry": ("triton", "numba", "reference"),
    "temporal_step": ("triton", "numba", "reference", "numba_int8"),
    "token_attention": ("triton", "reference"),
    "track_level": ("triton", "numba", "reference"),
}
_FILES = {"rvq_encode": "rvq", "rvq_decode": "rvq"}  # of backends that keep both in one


class KernelError(ValueError):
    """A choice of implementation that cannot be had. Its text is one sentence with the way out."""


@dataclass(frozen=True)
class Implementation:
    """One backend's version of an op."""

    op: str
    backend: str
    module: str
    devices: tuple[str, ...]

    def missing(self) -> str | None:
        """The package that it needs and that is not installed."""
        package = _PACKAGES.get(self.backend)
        return package if package is not None and importlib.util.find_spec(package) is None else None

    def serves(self, device: str) -> bool:
        return device in self.devices or (self.backend == "triton" and device == "cpu" and _interpreted())


@dataclass(frozen=True)
class Resolved:
    """A chosen implementation, ready to call."""

    implementation: Implementation
    function: Callable[..., Any]

    def __str__(self) -> str:
        return f"{self.implementation.op}: {self.implementation.backend}"


def _module(op: str, backend: str) -> str:
    return f"kernels.{backend}.{op if backend == 'reference' else _FILES.get(op, op)}"


IMPLEMENTATIONS: tuple[Implementation, ...] = tuple(
    Implementation(op, backend, _module(op, backend), _DEVICES[backend])
    for op, backends in _OPS.items()
    for backend in backends
)


def resolve(op: str, device: str, backend: str = "auto") -> Resolved:
    """Choose an implementation once; there is no later fallback.

    Args:
        op: e.g. ``depth_decode``.
        device: ``cpu`` or ``cuda``.
        backend: a backend's name, or ``auto`` for what the environment variable STREAMSEP_KERNELS says (see
            :func:`overrides`), else for the preferred one on the device. Whose package is missing is passed over, and
            the log says so.

    Raises KernelError, a ValueError, when an explicit choice cannot be had or nothing fits.
    """
    if backend == "auto":
        chosen = overrides()
        backend = chosen.get(op, chosen.get(EVERY, backend))
    if backend != "auto":
        return _load(_explicit(op, device, backend))
    for known in IMPLEMENTATIONS:
        if known.op != op or device not in known.devices:
            continue
        if package := known.missing():
            _log.warning("%s: %s is passed over because the package %s is missing.", op, known.backend, package)
            continue
        return _load(known)
    raise KernelError(f"no implementation of '{op}' on {device}: there is {_names(op, device)}.")


def overrides(text: str | None = None) -> Mapping[str, str]:
    """Op → backend out of ``op:backend,…``, by default the environment variable STREAMSEP_KERNELS.

    The op ``all`` stands for those that are not named. Raises KernelError for what is no such list, or names an op that
    does not exist.
    """
    chosen: dict[str, str] = {}
    text = os.environ.get(VARIABLE, "") if text is None else text
    for part in filter(None, (each.strip() for each in text.split(","))):
        op, colon, backend = (each.strip() for each in part.partition(":"))
        if not (op and colon and backend):
            raise KernelError(f"{VARIABLE}: '{part}' is not op:backend, as in depth_decode:reference.")
        if op not in _OPS and op != EVERY:
            raise KernelError(f"{VARIABLE}: there is no op '{op}'; choose one of {', '.join(_OPS)} or {EVERY}.")
        chosen[op] = backend
    return chosen


def table(device: str) -> str:
    """What serves every op on ``device``, a line each; raises as :func:`resolve` does."""
    lines: list[str] = []
    for op in _OPS:
        used = resolve(op, device).implementation.backend
        others = [known.backend for known in IMPLEMENTATIONS if known.op == op and known.serves(device)]
        rest = ", ".join(name for name in others if name != used)
        lines.append(f"{op:<22}{used:<11}" + (f"(also {rest})" if rest else ""))
    return "\n".join(line.rstrip() for line in lines)


def _explicit(op: str, device: str, backend: str) -> Implementation:
    for known in IMPLEMENTATIONS:
        if (known.op, known.backend) == (op, backend) and known.serves(device):
            if package := known.missing():
                raise KernelError(f"'{backend}' of '{op}' needs the package {package}: pip install {package}.")
            return known
    raise KernelError(f"no '{backend}' implementation of '{op}' on {device}: there is {_names(op, device)}.")


def _load(known: Implementation) -> Resolved:
    return Resolved(known, getattr(importlib.import_module(known.module), known.op))


def _names(op: str, device: str) -> str:
    return ", ".join(known.backend for known in IMPLEMENTATIONS if known.op == op and known.serves(device)) or "none"


def _interpreted() -> bool:
    """Triton interprets its kernels on the CPU: for tests, so only by explicit choice."""
    return os.environ.get("TRITON_INTERPRET", "0") not in ("", "0", "false")
