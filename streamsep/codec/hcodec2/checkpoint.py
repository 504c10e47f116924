"""An imported H-Codec-2.0 as a folder: ``config.json`` and ``model.safetensors``. Appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from streamsep.codec.hcodec2.config import PUBLISHED, HCodec2Config
from streamsep.codec.hcodec2.model import HCodec2
from streamsep.codec.hcodec2.published import check_tensors, read_checkpoint
from streamsep.errors import OutputError, StreamsepError

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT = "hcodec-2.0"
_MEND = "import the checkpoint again."


@dataclass(frozen=True)
class Imported:
    """What :func:`import_checkpoint` wrote. All names were there and no other, else it would have raised."""

    folder: Path
    tensors: int
    parameters: int
    bytes: int
    sha256: str  # of the checkpoint

    def to_dict(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "tensors": self.tensors,
            "parameters": self.parameters,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "missing": [],
            "extra": [],
        }


def import_checkpoint(path: Path, folder: Path, config: HCodec2Config = PUBLISHED, overwrite: bool = False) -> Imported:
    """Convert checkpoint ``path`` into ``folder``, after checking every name and shape against ``config``.

    Raises StreamsepError for a checkpoint that does not fit, OutputError when ``folder`` exists already or cannot be
    written; nothing is left of what was begun.
    """
    _refuse_existing(folder, overwrite)
    tensors = read_checkpoint(path)
    check_tensors(path, tensors, config)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    about = {"format": FORMAT, "source": {"file": path.name, "sha256": digest}, "config": config.to_dict()}
    save_folder(folder, tensors, about, overwrite)
    buffers = ("._codebook.", ".window")
    parameters = sum(value.numel() for name, value in tensors.items() if not any(part in name for part in buffers))
    return Imported(folder, len(tensors), parameters, (folder / WEIGHTS).stat().st_size, digest)


def save_folder(folder: Path, tensors: Mapping[str, Tensor], about: dict[str, Any], overwrite: bool = False) -> None:
    """Write both files into a folder beside ``folder`` and rename it. Raises OutputError."""
    part, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    try:
        part.mkdir(parents=True)
        save_file(_apart(tensors), part / WEIGHTS)
        (part / WEIGHTS).chmod(0o644)  # safetensors leaves it to the owner alone
        (part / CONFIG).write_text(json.dumps(about, indent=2) + "\n", "utf-8")
        _refuse_existing(folder, overwrite)
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    except (OSError, SafetensorError) as error:
        text = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputError(f"'{folder}' cannot be written: {text}; what was begun is removed.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """In float32, each in memory of its own as safetensors wants it; copied only where that is not so already."""
    seen: set[int] = set()
    apart: dict[str, Tensor] = {}
    for name, value in tensors.items():
        value = value.float().contiguous()
        memory = value.untyped_storage()
        if memory.data_ptr() in seen or memory.nbytes() != value.nbytes:
            value = value.clone()
        seen.add(memory.data_ptr())
        apart[name] = value
    return apart


def is_hcodec2(folder: Path) -> bool:
    """Whether ``folder`` says that it is an imported H-Codec-2.0."""
    try:
        return json.loads((folder / CONFIG).read_text("utf-8")).get("format") == FORMAT
    except (OSError, ValueError, AttributeError):
        return False


def load_hcodec2(folder: Path, device: torch.device | str = "cpu") -> HCodec2:
    """The codec in ``folder``, in float32 and ready to run. Raises StreamsepError for files that do not fit."""
    try:
        config = HCodec2Config.from_dict(json.loads((folder / CONFIG).read_text("utf-8"))["config"])
        tensors = load_file(folder / WEIGHTS, device=str(device))
        with torch.device("meta"):
            model = HCodec2(config)
        model.load_state_dict(tensors, assign=True)
    except OSError as error:
        raise StreamsepError(f"'{folder}' is no imported H-Codec-2.0: {error.strerror}; {_MEND}") from error
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StreamsepError(f"'{folder}' is damaged or incomplete ({first}); {_MEND}") from error
    return model.eval().requires_grad_(False)


def read_config(path: Path) -> HCodec2Config:
    """Sizes from a JSON file in the published layout. Raises StreamsepError for another."""
    try:
        return HCodec2Config.from_dict(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise StreamsepError(f"'{path}' cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StreamsepError(f"'{path}' is no configuration of an H-Codec-2.0: {error}.") from error


def _refuse_existing(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not overwrite:
        raise OutputError(f"'{folder}' exists already; choose another --out or allow --overwrite.")
    if overwrite and folder.exists() and not is_hcodec2(folder):
        raise OutputError(f"'{folder}' is something else than an imported H-Codec-2.0; choose another --out.")
