"""Which files become songs and where their stems go. Touches names only, never sound."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streamsep.audio.files import AUDIO_SUFFIXES
from streamsep.audio.sink import reason
from streamsep.audio.writer import FORMATS
from streamsep.config import STEMS

_STEM_FILES = frozenset(f"{no}{stem}.{format}" for no in ("", "no_") for stem in STEMS for format in FORMATS)


@dataclass(frozen=True)
class Song:
    """A sound file and the folder that its stems are written to."""

    source: Path
    folder: Path


@dataclass(frozen=True)
class Failure:
    """A file that could not be separated, and the sentence that says why."""

    source: Path
    error: str


def plan(paths: list[Path], out: Path) -> tuple[list[Song], list[Failure]]:
    """The songs among ``paths``: files as they are named, folders searched with all below them, each song once.

    A song goes to ``out/<its name>``, one of a searched folder to ``out/<its subfolder>/<its name>``; where two would
    share a folder the later one keeps its suffix (``out/song.flac``) or gets a number. What is missing or cannot be
    read comes back as failures.
    """
    songs: list[Song] = []
    failures: list[Failure] = []
    seen: set[Path] = set()
    taken: set[Path] = set()
    for path in paths:
        found, unread = _find(path, out)
        failures += unread
        if not found and not unread:
            failures.append(Failure(path, f"'{path}' is a folder without sound files; name another one."))
        for source, below in found:
            real = _real(source)
            if isinstance(real, Failure):
                failures.append(real)
            elif real not in seen:
                seen.add(real)
                folder = _free_folder(out / below, source, taken)
                taken.add(folder)
                songs.append(Song(source, folder))
    return songs, failures


def _real(source: Path) -> Path | Failure:
    """Where ``source`` lies, whatever links lead there."""
    try:
        return source.resolve() if source.exists() else Failure(source, f"'{source}' does not exist; check the name.")
    except OSError as error:
        return _unreadable(source, error)


def _find(path: Path, out: Path) -> tuple[list[tuple[Path, Path]], list[Failure]]:
    """``path`` or, if it is a folder, what is in it: sound files with their subfolder, and what cannot be read."""
    unread: list[Failure] = []
    try:
        folder = path.is_dir()
    except OSError as error:
        return [], [_unreadable(path, error)]
    if not folder:
        return [(path, Path())], []
    found = _search(path, out, lambda error: unread.append(_unreadable(Path(error.filename or path), error)))
    return found, unread


def _unreadable(path: Path, error: OSError) -> Failure:
    return Failure(path, f"'{path}' cannot be read: {reason(error)}.")


def _search(root: Path, out: Path, failed: Callable[[OSError], None]) -> list[tuple[Path, Path]]:
    """Sound files below ``root`` with their subfolder, sorted; not hidden ones, nor what lies in ``out``.

    Where the two are one: nor the stems that an earlier run has put beside their songs.
    """
    found: list[tuple[Path, Path]] = []
    own = out.resolve()
    mixed = root.resolve() == own
    for folder, below, names in os.walk(root, onerror=failed):
        here = Path(folder)
        songs = [name for name in sorted(names) if _is_song(name)]
        made = {Path(name).stem for name in songs} if mixed else set[str]()
        below[:] = sorted(
            name
            for name in below
            if not name.startswith(".")
            and (here / name).resolve() != own
            and not (name in made and _holds_only_stems(here / name))
        )
        found += [(here / name, here.relative_to(root)) for name in songs]
    return found


def _is_song(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES


def _holds_only_stems(folder: Path) -> bool:
    try:
        names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:  # who searches it will say why
        return False
    return all(name in _STEM_FILES for name in names)


def _free_folder(parent: Path, source: Path, taken: set[Path]) -> Path:
    name = source.stem if source.stem.strip(". ") else "song"  # "...wav" would mean the folder above
    for candidate in (name, source.name):
        if parent / candidate not in taken:
            return parent / candidate
    number = 2
    while parent / f"{name} ({number})" in taken:
        number += 1
    return parent / f"{name} ({number})"
