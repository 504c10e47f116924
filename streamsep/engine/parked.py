"""A stream that waits off the device: all a slot remembers, in host memory or in a file. Knows nothing of batches."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from streamsep.errors import ParkedError

VERSION = "2"
_KEY = "streamsep_parked"


@dataclass(frozen=True)
class Facts:
    """What of a parked stream is no tensor. ``model``: see ``fingerprint``; ``frames``: computed so far."""

    model: str
    render: str
    decode: str
    lookahead: int
    seed: int | None
    frames: int
    version: str = VERSION


@dataclass(frozen=True)
class Parked:
    """``tensors``: name → what the slot remembers, on the host."""

    facts: Facts
    tensors: dict[str, Tensor]

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def to_file(self, path: str | Path) -> None:
        """Write as safetensors; a file of that name is replaced at once, or not at all. Raises ParkedError."""
        tensors = {name: _real(tensor).contiguous() for name, tensor in self.tensors.items()}
        try:
            save_file(tensors, path, {_KEY: json.dumps(asdict(self.facts))})
        except (OSError, SafetensorError) as error:
            raise ParkedError(f"'{path}' cannot be written: {error}.") from error

    @staticmethod
    def from_file(path: str | Path) -> Parked:
        """Raises ParkedError when there is no such file or it is not what ``to_file`` wrote."""
        try:
            with safe_open(path, "pt") as file:
                raw = json.loads((file.metadata() or {})[_KEY])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if set(raw) != {each.name for each in fields(Facts)} or raw["version"] != VERSION:
                raise ParkedError(f"'{path}' was parked by another version of streamsep; begin a new stream.")
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ParkedError(f"'{path}' is no parked stream, or is damaged.") from error
        return Parked(Facts(**raw), tensors)


def fingerprint(net: nn.Module) -> str:
    """Says whether two nets are the same: a hash of names and weights."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in net.state_dict().items():
        digest.update(name.encode())
        digest.update(_real(tensor).detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def complex_again(saved: Tensor, like: Tensor) -> Tensor:
    """What ``to_file`` made real, complex again where ``like`` is."""
    if like.is_complex() and not saved.is_complex():
        return torch.view_as_complex(saved)
    return saved


def _real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
