"""Where a model computes."""

from __future__ import annotations

import torch

from streamsep.choices import DEVICES, check_choice
from streamsep.errors import StreamsepError


def check_device(name: str) -> None:
    """Raise OptionError for an unknown device, StreamsepError for one that this machine has not."""
    check_choice("device", name, DEVICES)
    if name == "cuda" and not torch.cuda.is_available():
        raise StreamsepError("CUDA was asked for, but torch finds no CUDA device here; use the device cpu.")
