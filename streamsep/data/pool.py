"""A pool of songs on disk: a folder a song, with its stems and a description. Knows files; knows nothing of music.

``npy``: ``<song>/stems.npy`` int16 ``[4, 2, n]`` (memory-mapped by training) and ``<song>/song.json``.
``wav``, ``flac``: ``<song>/{mixture,vocals,drums,bass,other}.*`` in 24 bits and ``song.json``: what players and
``streamsep evaluate`` read. A song is written under a hidden name and renamed when whole, so that every song of a pool
is complete whatever happened, and what is there already is not made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.writer import AudioWriter
from streamsep.choices import check_choice
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.errors import AudioError, OptionError, OutputError

Sound = NDArray[np.float32]

POOL_FORMATS: tuple[str, ...] = ("npy", "flac", "wav")
STEMS_FILE = "stems.npy"
SONG_FILE = "song.json"
_LONGEST = 180  # bytes of a song's name


@dataclass(frozen=True)
class PoolSong:
    """A song of a pool: ``stems`` is int16 ``[4, 2, n]``, memory-mapped."""

    name: str
    path: Path
    meta: dict[str, Any]
    stems: NDArray[np.int16]

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process maps the file anew; a pickled map would carry all its samples."""
        return _open_song, (self.path,)


def fitting(name: str) -> str:
    """``name``, cut where file systems would refuse it (255 bytes, with what is added to it); still one of its own."""
    raw = os.fsencode(name)
    if len(raw) <= _LONGEST:
        return name
    return os.fsdecode(raw[:_LONGEST]).encode("utf-8", "ignore").decode() + "~" + hashlib.sha256(raw).hexdigest()[:8]


def is_whole(folder: Path) -> bool:
    """Whether a song stands there. The description is written before the rename, so that one look is enough."""
    return (folder / SONG_FILE).is_file()


def sounds_of(folder: Path, format: str) -> bool:
    """Whether the song ``folder`` holds its sounds in this format."""
    return (folder / (STEMS_FILE if format == "npy" else f"mixture.{format}")).is_file()


def write_song(out: Path, name: str, stems: Sound, meta: dict[str, Any], format: str = "npy") -> Path:
    """Write ``stems [4, 2, n]`` float32 as the song ``out/name``; returns its folder. An older one is replaced.

    Raises OutputError, and leaves nothing half-written, when the folder or the disk does not take it.
    """
    check_choice("format", format, POOL_FORMATS)
    folder, part = out / name, out / f".{name}.{os.getpid()}.part"
    try:
        part.mkdir(parents=True, exist_ok=True)
        if format == "npy":
            np.save(part / STEMS_FILE, to_int16(stems))
        else:
            _write_sounds(part, stems, format)
        (part / SONG_FILE).write_text(json.dumps(meta, indent=1) + "\n", "utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(part, folder)
    except OSError as error:
        raise OutputError(
            f"'{folder}' cannot be written: {error.strerror or error}; free space, or choose another folder."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _write_sounds(folder: Path, stems: Sound, format: str) -> None:
    sounds = dict(zip(STEMS, stems, strict=True)) | {"mixture": stems.sum(0)}
    for name, sound in sounds.items():
        with AudioWriter(folder / f"{name}.{format}", SAMPLE_RATE, 2, format=format, bits="24") as writer:
            writer.write(sound)


def to_int16(x: Sound) -> NDArray[np.int16]:
    """Rounded, clipped at full scale."""
    return np.clip(np.round(x * 32_768.0), -32_768, 32_767).astype(np.int16)


def turned_down(stems: Sound) -> Sound:
    """Stems [4, 2, n], all by as much, so far that none is above full scale: a pool could not hold it, nor its sum."""
    peak = float(np.max(np.abs(stems), initial=0.0))
    return stems * np.float32(0.999 / peak) if peak > 0.999 else stems


def open_pool(folders: list[Path]) -> list[PoolSong]:
    """Every ``npy`` song in the folders, by folder and name.

    Raises OptionError when a folder does not exist or there is no song at all, AudioError when one is damaged.
    """
    songs: list[PoolSong] = []
    for folder in folders:
        if not folder.is_dir():
            raise OptionError(f"the pool '{folder}' does not exist; make one with `streamsep data compose {folder}`.")
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(".") and (path / STEMS_FILE).is_file() and is_whole(path):
                songs.append(_open_song(path))
    if not songs:
        names = ", ".join(f"'{folder}'" for folder in folders)
        within = sorted({path.parent.parent for folder in folders for path in folder.glob(f"*/*/{STEMS_FILE}")})
        there = " and ".join(f"'{folder}'" for folder in within)
        way = f"there are some in {there}" if within else "make some with `streamsep data compose`"
        raise OptionError(f"no song of format npy in {names}; {way}.")
    return songs


def _open_song(path: Path) -> PoolSong:
    try:
        meta: Any = json.loads((path / SONG_FILE).read_text("utf-8"))
        stems = np.load(path / STEMS_FILE, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise AudioError(f"the song '{path}' is damaged ({error}); delete its folder and make it again.") from error
    if not isinstance(meta, dict) or stems.dtype != np.int16 or stems.ndim != 3 or stems.shape[:2] != (len(STEMS), 2):
        raise AudioError(f"the song '{path}' does not hold int16 stems [4, 2, n]; delete its folder and make it again.")
    return PoolSong(path.name, path, meta, stems)
