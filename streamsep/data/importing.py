"""Bring stems that exist already into a pool: MUSDB18-HQ, ``.stem.mp4`` files, any folders of stems.

A song is a folder with any of vocals, drums, bass and other as wav, flac, mp3, ogg, opus, … (what is missing is
silence, ``mixture.*`` is not needed: stems sum to it), or a ``*.stem.mp4``. Songs in or below folders called train,
valid or test go to folders of that name in the pool, so that no test song is trained on by accident. What cannot be
used is reported in a line of its own and skipped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.files import AUDIO_SUFFIXES
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.data.bank import SPLITS
from streamsep.data.dataset import PIECE_SECONDS, describe_real, pieces
from streamsep.data.pool import SONG_FILE, fitting, is_whole, turned_down, write_song
from streamsep.data.sources import read_sound, read_stem_file
from streamsep.errors import AudioError, OptionError, StreamsepError

Sound = NDArray[np.float32]

STEM_FILES = (".stem.mp4", ".stem.m4a")
MIN_SECONDS, MAX_SECONDS = 1.0, 1_800.0


@dataclass(frozen=True)
class Source:
    """A song that was found: its stems' files, or one file with them all. ``split`` is "" when no folder says it."""

    name: str
    split: str
    path: Path
    stems: dict[str, Path]


@dataclass
class ImportReport:
    """``songs`` and ``seconds`` that are in the pool now, ``failures`` as one sentence each."""

    songs: int = 0
    pieces: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


def import_dataset(root: Path, out: Path, progress: Callable[[str, int, int], None] | None = None) -> ImportReport:
    """Import every song below ``root`` into the pool ``out``, resampled to 48 kHz and cut into 40 s pieces.

    Songs that are there already are kept. ``progress(name, done, songs)`` is called before each song and at the end.
    Raises OptionError when ``root`` holds no song, OutputError when the pool cannot be written.
    """
    sources, failures = find_sources(root)
    report = ImportReport(failures=failures)
    if not sources and not failures:
        wanted = ", ".join(f"{stem}.*" for stem in STEMS)
        raise OptionError(f"'{root}' holds no song: no folder with any of {wanted}, and no *.stem.mp4.")
    for index, source in enumerate(sources):
        if progress is not None:
            progress(source.name, index, len(sources))
        folder = out / source.split if source.split else out
        try:
            count, seconds = _existing(folder, source) or _import(folder, source)
        except AudioError as error:
            report.failures.append(f"'{source.path}' is skipped: {error}")
            continue
        report.songs += 1
        report.pieces += count
        report.seconds += seconds
    if progress is not None:
        progress("", len(sources), len(sources))
    return report


def find_sources(root: Path) -> tuple[list[Source], list[str]]:
    """All songs below ``root`` by path, names unique, and a sentence for each that is ambiguous.

    Raises OptionError when ``root`` is no folder or cannot be read.
    """
    if not root.is_dir():
        raise OptionError(f"'{root}' is not a folder; give one that holds songs with their stems.")
    try:
        paths = sorted(path for path in root.rglob("*") if not _hidden(path, root))
    except OSError as error:
        raise OptionError(f"'{root}' cannot be read: {error.strerror}.") from error
    sources: list[Source] = []
    failures: list[str] = []
    taken: set[str] = set()
    for path in [root, *paths]:
        try:
            stems = _stems_in(path) if path.is_dir() else {}
        except StreamsepError as error:
            failures.append(f"'{path}' is skipped: {error}")
            continue
        if stems or (path.is_file() and path.name.lower().endswith(STEM_FILES)):
            split, name = _named(path, root)
            name = fitting(name)
            while (unique := f"{split}/{name}") in taken:
                name += "+"
            taken.add(unique)
            sources.append(Source(name, split, path, stems))
    return sources, failures


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _stems_in(folder: Path) -> dict[str, Path]:
    stems: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = path.stem.lower()
        if stem not in STEMS or path.suffix.lower() not in AUDIO_SUFFIXES or path.is_dir():
            continue
        if stem in stems:
            raise AudioError(f"it has {stem} twice, '{stems[stem].name}' and '{path.name}'; remove one.")
        stems[stem] = path
    return stems


def _named(path: Path, root: Path) -> tuple[str, str]:
    """Split and name of a song from the folders that it stands in."""
    parts = list(path.relative_to(root).parts) or [path.resolve().name]
    for suffix in STEM_FILES:
        parts[-1] = parts[-1][: -len(suffix)] if parts[-1].lower().endswith(suffix) else parts[-1]
    found = next((index for index, part in enumerate(parts[:-1]) if part.lower() in SPLITS), None)
    if found is None:
        above = root.resolve().name.lower()  # of musdb18hq/test: the name is given and still says what they are
        return above if path != root and above in SPLITS else "", " - ".join(parts)
    return parts.pop(found).lower(), " - ".join(parts)


def _existing(folder: Path, source: Source) -> tuple[int, float] | None:
    """Pieces and seconds of a song that was imported whole before, else None. Raises AudioError when another song of
    that name was.
    """
    first = folder / _piece_name(source, 0)
    if not is_whole(first):
        return None
    try:
        meta: Any = json.loads((first / SONG_FILE).read_text("utf-8"))
        count, seconds, origin = int(meta["pieces"]), float(meta["song_seconds"]), meta.get("origin", _origin(source))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if origin != _origin(source):
        raise AudioError(f"'{first}' is of '{origin}'; delete its folders, or import into another pool.")
    return (count, seconds) if all(is_whole(folder / _piece_name(source, i)) for i in range(count)) else None


def _import(folder: Path, source: Source) -> tuple[int, float]:
    if source.stems:
        sounds = {stem: read_sound(path, MAX_SECONDS) for stem, path in source.stems.items()}
    else:
        sounds = read_stem_file(source.path, MAX_SECONDS)
    stems = _joined(sounds)
    seconds = stems.shape[2] / SAMPLE_RATE
    if seconds < MIN_SECONDS:
        raise AudioError(f"it lasts {seconds:.2f} s; a song to train on lasts {MIN_SECONDS:g} s or more.")
    cut = list(pieces(stems, PIECE_SECONDS))
    if not cut:
        raise AudioError("it is silent in all its stems.")
    # The last piece first: a song whose piece 0 stands is whole.
    for number in reversed(range(len(cut))):
        meta = describe_real(source.name, cut[number], "imported", source.split or "train")
        meta |= {"pieces": len(cut), "piece": number, "song_seconds": round(seconds, 3), "origin": _origin(source)}
        write_song(folder, _piece_name(source, number), cut[number], meta)
    return len(cut), seconds


def _origin(source: Source) -> str:
    return str(source.path.resolve())


def _piece_name(source: Source, number: int) -> str:
    return f"{source.name}_{number:03d}"


def _joined(sounds: dict[str, Sound]) -> Sound:
    """``[4, 2, n]``: padded to the longest, and turned down together where one is above full scale."""
    samples = max(sound.shape[1] for sound in sounds.values())
    stems = np.zeros((len(STEMS), 2, samples), np.float32)
    for index, stem in enumerate(STEMS):
        if stem in sounds:
            stems[index, :, : sounds[stem].shape[1]] = sounds[stem]
    return turned_down(stems)
