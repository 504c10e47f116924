"""Which files become songs and where their stems go. Touches names only, never sound."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from streamsep.audio.files import AUDIO_SUFFIXES


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
    share a folder the later one keeps its suffix (``out/song.flac``) or gets a number. What is missing comes back as
    failures.
    """
    songs: list[Song] = []
    failures: list[Failure] = []
    seen: set[Path] = set()
    taken: set[Path] = set()
    for path in paths:
        found = _search(path, out) if path.is_dir() else [(path, Path())]
        if not found:
            failures.append(Failure(path, f"'{path}' is a folder without sound files; name another one."))
        for source, below in found:
            if not source.exists():
                failures.append(Failure(source, f"'{source}' does not exist; check the name."))
            elif (real := source.resolve()) not in seen:
                seen.add(real)
                folder = _free_folder(out / below, source, taken)
                taken.add(folder)
                songs.append(Song(source, folder))
    return songs, failures


def _search(root: Path, out: Path) -> list[tuple[Path, Path]]:
    """Sound files below ``root`` with their subfolder, sorted; not hidden ones, nor what lies in ``out``."""
    found: list[tuple[Path, Path]] = []
    own = out.resolve()
    for folder, below, names in os.walk(root):
        here = Path(folder)
        below[:] = sorted(name for name in below if not name.startswith(".") and (here / name).resolve() != own)
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                found.append((here / name, here.relative_to(root)))
    return found


def _free_folder(parent: Path, source: Path, taken: set[Path]) -> Path:
    name = source.stem if source.stem.strip(". ") else "song"  # "...wav" would mean the folder above
    for candidate in (name, source.name):
        if parent / candidate not in taken:
            return parent / candidate
    number = 2
    while parent / f"{name} ({number})" in taken:
        number += 1
    return parent / f"{name} ({number})"
