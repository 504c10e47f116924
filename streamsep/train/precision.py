"""In which numbers a net is trained: bfloat16 where the processor multiplies it faster. Knows devices, no nets."""

from __future__ import annotations

import torch

from streamsep.choices import check_choice

PRECISIONS: tuple[str, ...] = ("auto", "float32", "bfloat16")


def training_dtype(precision: str, device: torch.device) -> torch.dtype:
    """What matrix products of a training step are made in; ``auto`` asks the hardware.

    Raises OptionError for a name that is not in ``PRECISIONS``.
    """
    check_choice("precision", precision, PRECISIONS)
    fast = precision == "bfloat16" or (precision == "auto" and _multiplies_bfloat16(device))
    return torch.bfloat16 if fast else torch.float32


def autocast(dtype: torch.dtype, device: torch.device, kept: bool = True) -> torch.autocast:
    """A context in which matrix products are made in ``dtype``; float32 changes nothing.

    ``kept``: what was cast once is kept until the context is left.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16, cache_enabled=kept)


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and bool(known.get("avx512_bf16") or known.get("amx_tile"))
