"""The folder a demo leaves behind: written whole or not at all, and only over an earlier demo's."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.sink import reason
from streamsep.audio.writer import AudioWriter
from streamsep.errors import OutputError

Sound = NDArray[np.float32]

REPORT = "demo.json"
PICTURE = "picture.png"
MIXTURE = "mixture.wav"
TRUE = "true"  # folder of the true stems, so that `streamsep evaluate` can read it


def check_folder(out: Path) -> None:
    """Raise OutputError unless ``out`` can be written and is new, empty, or the folder of an earlier demo."""
    try:
        there = next((path for path in (out, *out.absolute().parents) if path.exists()), out)
        if there.is_file():
            raise OutputError(f"'{there}' is a file; choose a folder with --out.")
        empty = there != out or not any(out.iterdir())
    except OSError as error:
        raise OutputError(f"'{out}' cannot be read: {reason(error)}.") from error
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"'{there}' cannot be written; choose another folder with --out.")
    if not empty and not (out / REPORT).is_file():
        raise OutputError(
            f"'{out}' holds files that are not of a demo: there is no {REPORT} in it; choose another --out."
        )


def write_folder(
    out: Path,
    rate: int,
    mixture: Sound,
    estimated: Mapping[str, Sound],
    true: Mapping[str, Sound],
    picture: Callable[[Path], None],
    report: Mapping[str, Any],
) -> list[Path]:
    """Write mixture, stems (24-bit wav), true stems, picture and report; returns their paths.

    ``picture`` draws into the path it is given. Raises OutputError, and leaves nothing, when one cannot be written.
    """
    sounds = {out / MIXTURE: mixture}
    sounds |= {out / f"{stem}.wav": sound for stem, sound in estimated.items()}
    sounds |= {out / TRUE / f"{stem}.wav": sound for stem, sound in true.items()}
    # The report is named first: a folder with it is known as a demo's, even if the power fails right then.
    others = {out / REPORT: _part(out / REPORT), out / PICTURE: _part(out / PICTURE)}
    made = [path for path in (out / TRUE, out, *out.parents) if not path.exists()]
    writers: list[AudioWriter] = []
    try:
        for path, sound in sounds.items():
            writers.append(AudioWriter(path, rate, sound.shape[0], overwrite=True))
            writers[-1].write(sound)
            writers[-1].finish()
        picture(others[out / PICTURE])
        others[out / REPORT].write_text(json.dumps(report, indent=2) + "\n", "utf-8")
        for path, part in others.items():
            os.replace(part, path)
        for writer in writers:
            writer.commit()
    except OSError as error:
        raise OutputError(f"'{out}' cannot be written: {reason(error)}; what was begun is removed.") from error
    finally:
        for writer in writers:
            writer.abort()
        for path in others.values():
            with contextlib.suppress(OSError):
                path.unlink()
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
    return [*sounds, *others]


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")
