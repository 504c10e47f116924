"""Python, packages, processor and graphics card, as plain values. Imports torch, only when asked."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

_PACKAGES = ("torch", "numpy", "numba", "scipy", "soundfile", "av", "sounddevice", "safetensors", "triton")
# Instruction sets that decide how fast a small net runs.
_FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "sve", "bf16")


def environment() -> dict[str, Any]:
    """Everything about the machine that bears on speed."""
    import torch

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "cpu": {
            "name": _cpu_name(),
            "cores": os.cpu_count(),
            "usable_cores": usable_cores(),
            "features": _cpu_features(),
            "torch_uses": torch.backends.cpu.get_cpu_capability(),
        },
        "threads": torch.get_num_threads(),
        "memory_gb": _memory_gb(),
        "cuda": _cuda(),
    }


def usable_cores() -> int:
    """Cores this process may run on; fewer than the machine has under taskset or in a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_info() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _cpu_name() -> str:
    return _cpu_info().get("model name") or platform.processor() or platform.machine()


def _cpu_features() -> list[str]:
    info = _cpu_info()
    found = set(f"{info.get('flags', '')} {info.get('features', '')}".split())
    return [name for name in _FEATURES if name in found]


def _memory_gb() -> float:
    import psutil

    return round(psutil.virtual_memory().total / 1e9, 1)


def _cuda() -> dict[str, Any]:
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda
        reason = "no NVIDIA GPU or driver was found" if built else "this torch is built without CUDA"
        return {"available": False, "reason": reason, "devices": []}
    count = torch.cuda.device_count()
    devices = [torch.cuda.get_device_properties(index) for index in range(count)]
    return {
        "available": True,
        "version": torch.version.cuda,
        "devices": [{"name": d.name, "memory_gb": round(d.total_memory / 1e9, 1)} for d in devices],
    }
