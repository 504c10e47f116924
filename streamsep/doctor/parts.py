"""Sound devices and kernels: what is there and what is in use. A part that is missing becomes a sentence."""

from __future__ import annotations

import importlib
from typing import Any


def sound_devices() -> dict[str, Any]:
    """Inputs and outputs that PortAudio sees; ``problem`` says what to install when it is not there."""
    try:
        import sounddevice
    except ImportError:
        return _no_devices("the package sounddevice is not installed: pip install sounddevice.")
    except OSError:
        return _no_devices(
            "PortAudio is not installed, so there is no live sound: install libportaudio2 (Debian, Ubuntu), "
            "portaudio (Fedora, Arch, Homebrew); files and the demo work without it."
        )
    try:
        found: list[dict[str, Any]] = [dict(device) for device in sounddevice.query_devices()]
    except sounddevice.PortAudioError as error:
        return _no_devices(f"PortAudio cannot list its devices: {error}.")
    devices = [
        {
            "index": index,
            "name": device["name"],
            "inputs": device["max_input_channels"],
            "outputs": device["max_output_channels"],
            "rate": round(device["default_samplerate"]),
        }
        for index, device in enumerate(found)
    ]
    problem = None if devices else "PortAudio works and sees no sound device."
    return {"available": bool(devices), "devices": devices, "problem": problem}


def kernel_table(device: str) -> list[dict[str, Any]]:
    """Every implementation of every op: whether it loads here, and whether it is the one chosen on ``device``."""
    from kernels.registry import IMPLEMENTATIONS, KernelError, resolve

    rows: list[dict[str, Any]] = []
    for known in sorted(IMPLEMENTATIONS, key=lambda each: each.op):
        problem = _import_problem(known.module)
        try:
            used = problem is None and resolve(known.op, device).implementation == known
        except KernelError as error:
            used, problem = False, problem or str(error)
        rows.append(
            {
                "op": known.op,
                "backend": known.backend,
                "devices": list(known.devices),
                "used": used,
                "problem": problem,
            }
        )
    return rows


def _import_problem(module: str) -> str | None:
    try:
        importlib.import_module(module)
    except ImportError as error:
        return str(error)
    return None


def _no_devices(problem: str) -> dict[str, Any]:
    return {"available": False, "devices": [], "problem": problem}
