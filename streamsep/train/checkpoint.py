"""A training's files: everything a killed run needs to go on, and the best weights so far."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from streamsep.errors import OptionError, OutputError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write under a temporary name, then rename. Raises OutputError when the disk does not take it."""
    part = path.with_suffix(".part")
    try:
        torch.save(state, part)
        os.replace(part, path)
    except (OSError, RuntimeError) as error:
        raise OutputError(f"'{path}' cannot be written: {error}; free space, or choose another folder.") from error
    finally:
        part.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what ``save_checkpoint`` wrote. Raises OptionError when it is damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise OptionError(f"the checkpoint '{path}' cannot be read ({error}); delete it to begin anew.") from error


def save_weights(path: Path, module: nn.Module) -> None:
    """All parameters and persistent buffers of ``module`` as safetensors, written under another name first."""
    part = path.with_suffix(".part")
    state: dict[str, Tensor] = {name: t.detach().cpu().clone() for name, t in module.state_dict().items()}
    try:
        save_file(state, part)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"'{path}' cannot be written: {error}; free space, or choose another folder.") from error
    finally:
        part.unlink(missing_ok=True)


def load_weights(path: Path, module: nn.Module) -> None:
    """Load what ``save_weights`` wrote. Raises OptionError when it is missing or belongs to another net."""
    if not path.is_file():
        raise OptionError(f"'{path}' is missing; train that stage first.")
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        text = " ".join(str(error).split())[:300]
        raise OptionError(f"'{path}' does not fit the recipe ({text}); train that stage again.") from error
