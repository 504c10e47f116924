"""From a codec's name to a coder. Knows which folders hold which kind; runs nothing."""

from __future__ import annotations

from pathlib import Path

from streamsep.codec.hcodec2.checkpoint import is_hcodec2, load_hcodec2
from streamsep.codec.hcodec2.teacher import open_teacher
from streamsep.engine.device import check_device
from streamsep.errors import OptionError, StreamsepError
from streamsep.model.checkpoint import load_model
from streamsep.model.store import find_model, imported_models
from streamsep.transcode.coder import Coder
from streamsep.transcode.pieces import PIECE_SECONDS, PieceCoder
from streamsep.transcode.streaming import StreamingCoder


def open_codec(name: str, semantic: str | None = None, seconds: float = PIECE_SECONDS, device: str = "cpu") -> Coder:
    """The codec of a shipped model, an imported H-Codec-2.0, or either at a path.

    ``semantic`` and ``seconds`` are the teacher and the length of a piece of an H-Codec-2.0. Raises StreamsepError or
    OptionError when there is no such codec, device or teacher.
    """
    check_device(device)
    if not 1 <= seconds <= 600:
        raise OptionError(f"a piece of {seconds:g} s cannot be coded; give --piece between 1 and 600 seconds.")
    folder = find_model(name)
    if folder is None:
        raise StreamsepError(
            f"there is no codec '{name}': no shipped model, none in '{imported_models()}', no such folder; see "
            "streamsep models."
        )
    label = folder.name if folder != Path(name) else name
    if is_hcodec2(folder):
        codec = load_hcodec2(folder, device)
        teacher = None if semantic is None else open_teacher(semantic, codec.cfg, device)
        return PieceCoder(codec, label, teacher, seconds, device)
    if semantic is not None:
        raise OptionError(f"the codec of '{name}' has a teacher of its own; leave --semantic out.")
    return StreamingCoder(load_model(folder, device).codec, label, device)
