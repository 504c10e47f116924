"""Published checkpoints → folders that streamsep reads. Knows which models can be imported, and where they go."""

from __future__ import annotations

from pathlib import Path

from streamsep.codec.hcodec2.checkpoint import FORMAT, Imported, import_checkpoint, read_config
from streamsep.codec.hcodec2.config import PUBLISHED
from streamsep.errors import OptionError
from streamsep.model.store import imported_models

KINDS: tuple[str, ...] = (FORMAT,)


def import_model(
    kind: str, path: Path, out: Path | None = None, config: Path | None = None, overwrite: bool = False
) -> Imported:
    """Import checkpoint ``path`` of a model of this ``kind`` into ``out``, or to the other imported models.

    Raises OptionError for an unknown kind and what ``import_checkpoint`` raises.
    """
    if kind not in KINDS:
        raise OptionError(f"unknown model '{kind}'; what can be imported is {', '.join(KINDS)}.")
    sizes = PUBLISHED if config is None else read_config(config)
    return import_checkpoint(path, out or imported_models() / kind, sizes, overwrite)
