"""The published checkpoint: a pickled state dict of unknown honesty → tensors that are known to fit. Writes nothing."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from streamsep.codec.hcodec2.config import HCodec2Config
from streamsep.codec.hcodec2.model import HCodec2
from streamsep.errors import StreamsepError

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_SHOWN = 3  # names of each kind in a message
_AGAIN = "fetch the published file again"


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict in a ``.pt`` or ``.safetensors`` file, as it is. Nothing in the file is ever executed.

    Raises StreamsepError for a file that is missing, cut off, damaged, holds code or anything but named tensors.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if path.suffix == ".safetensors":
            return load_file(path)
    except IsADirectoryError as error:
        raise StreamsepError(f"'{path}' is a folder; the checkpoint file itself is needed.") from error
    except FileNotFoundError as error:
        raise StreamsepError(f"'{path}' does not exist; check the name.") from error
    except OSError as error:
        raise StreamsepError(f"'{path}' cannot be read: {error.strerror}.") from error
    except SafetensorError as error:
        raise StreamsepError(f"'{path}' is damaged: it is no safetensors file; {_AGAIN}.") from error
    zipped = start == _ZIP
    if zipped and not zipfile.is_zipfile(path):
        raise StreamsepError(f"'{path}' is cut off or damaged: its archive has no end; {_AGAIN}.")
    if not zipped and not start.startswith(_PICKLE):
        raise StreamsepError(f"'{path}' is no PyTorch checkpoint; give the published .pt file or a .safetensors file.")
    return _state_dict(path, _unpickle(path, zipped))


def _unpickle(path: Path, zipped: bool) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # about pickles that torch did not write; they are refused below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if code:
            raise StreamsepError(
                f"'{path}' holds code besides tensors ('{code[1]}') and was not loaded; {_AGAIN}, from its authors."
            ) from error
        raise StreamsepError(f"'{path}' is damaged or holds more than tensors and was not loaded; {_AGAIN}.") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise StreamsepError(f"'{path}' is cut off or damaged; {_AGAIN}.") from error


def _state_dict(path: Path, loaded: Any) -> dict[str, Tensor]:
    if isinstance(loaded, Mapping) and "state_dict" in loaded:
        raise StreamsepError(f"'{path}' is a checkpoint of training; save its 'state_dict' alone and import that.")
    if not isinstance(loaded, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in loaded.items()
    ):
        raise StreamsepError(f"'{path}' holds no state dict (names and tensors); {_AGAIN}.")
    return dict(loaded)


def check_tensors(path: Path, tensors: Mapping[str, Tensor], config: HCodec2Config) -> None:
    """Whether ``tensors`` are exactly an H-Codec-2.0 of this ``config``, trained and finite.

    Raises StreamsepError that names what is missing, extra or of another shape.
    """
    with torch.device("meta"):
        wanted = HCodec2(config).state_dict()
    missing, extra = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted.keys())
    other = sorted(name for name in wanted.keys() & tensors.keys() if wanted[name].shape != tensors[name].shape)
    faults = [
        *([f"{len(missing)} of {len(wanted)} tensors are missing ({_some(missing)})"] if missing else []),
        *([f"{len(extra)} are extra ({_some(extra)})"] if extra else []),
        *([f"{len(other)} have another shape ({_shapes(other, tensors, wanted)})"] if other else []),
    ]
    if faults:
        older = any(name.endswith(("weight_g", "weight_v")) for name in extra)
        hint = "its weight norm is that of H-Codec-1, which is not supported" if older else "is it another version?"
        raise StreamsepError(f"'{path}' is no H-Codec-2.0 of the expected sizes: {', '.join(faults)}; {hint}")
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise StreamsepError(f"'{path}' is damaged: '{name}' holds numbers that are not finite; {_AGAIN}.")
        if name.endswith(".initted") and not value.all():
            raise StreamsepError(f"'{path}' was never trained: codebook '{name.split('._')[0]}' has not been started.")


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _shapes(names: list[str], tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    return _some([f"{name} is {list(tensors[name].shape)}, not {list(wanted[name].shape)}" for name in names])
