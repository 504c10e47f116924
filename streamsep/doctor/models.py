"""Models that are shipped with the package or were imported. Reads their files only; does not import torch."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamsep.config import SHIPPED_MODELS
from streamsep.errors import StreamsepError

_CARD, _SCORES = "README.md", "scores.json"


@dataclass(frozen=True)
class ShippedModel:
    """``bytes`` and ``parameters`` are of the safetensors files; ``scores`` is None where none were written down."""

    name: str
    path: Path
    bytes: int
    parameters: int
    licence: str
    scores: dict[str, Any] | None = field(default=None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "path": str(self.path),
            "megabytes": round(self.bytes / 1e6, 3),
            "parameters": self.parameters,
            "licence": self.licence,
            "scores": self.scores,
        }


def shipped_models(root: Path = SHIPPED_MODELS) -> list[ShippedModel]:
    """Every folder below ``root`` that holds safetensors, by name. Raises StreamsepError for one that is damaged."""
    if not root.is_dir():
        return []
    folders = sorted(path for path in root.iterdir() if path.is_dir() and any(path.glob("*.safetensors")))
    return [_describe(folder) for folder in folders]


def _describe(folder: Path) -> ShippedModel:
    tensors = sorted(folder.glob("*.safetensors"))
    return ShippedModel(
        name=folder.name,
        path=folder,
        bytes=sum(path.stat().st_size for path in tensors),
        parameters=sum(count_parameters(path) for path in tensors),
        licence=_licence(folder / _CARD),
        scores=_scores(folder / _SCORES),
    )


def count_parameters(path: Path) -> int:
    """Numbers stored in a safetensors file: an 8-byte header size, then JSON that gives each tensor's shape.

    Raises StreamsepError when the file is no safetensors file.
    """
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 0 < size < path.stat().st_size:
                raise ValueError("header size")
            header: dict[str, Any] = json.loads(file.read(size))
        return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StreamsepError(f"'{path}' is damaged: it is no safetensors file; install streamsep again.") from error


def _licence(card: Path) -> str:
    """The ``license:`` line of the card's front matter (the block between two lines of ``---``)."""
    lines = card.read_text("utf-8").splitlines() if card.is_file() else []
    if lines[:1] == ["---"]:
        for line in lines[1:]:
            key, _, value = line.partition(":")
            if key.strip() == "license":
                return value.strip()
            if line == "---":
                break
    return "not stated"


def _scores(path: Path) -> dict[str, Any] | None:
    """What ``streamsep evaluate --brief --json`` wrote for this model."""
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError:
        return None
    except ValueError as error:
        raise StreamsepError(f"'{path}' is damaged: it is no JSON; install streamsep again.") from error


def headline(model: ShippedModel) -> dict[str, float | None] | None:
    """SI-SDR improvement of the default render at lookahead 0, a stem and their mean; None without scores."""
    for row in (model.scores or {}).get("total", ()):
        if row["estimate"] == "fused" and row["lookahead"] == 0:
            return row["improvement"]
    return None
