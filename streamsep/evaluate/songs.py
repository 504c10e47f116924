"""Songs with true stems on disk: finds them, reads them at 48 kHz. Knows folders; knows nothing of models or scores.

A song is a folder with any of vocals, drums, bass and other as sound files (MUSDB18-HQ, composed songs, any stems), a
folder of a training pool (``stems.npy``), or a ``.stem.mp4`` (MUSDB18).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.blocks import to_stereo
from streamsep.audio.files import AUDIO_SUFFIXES, open_audio
from streamsep.audio.resample import resample
from streamsep.audio.sanitize import Sanitizer
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.data.importing import STEM_FILES
from streamsep.data.pool import STEMS_FILE
from streamsep.data.sources import read_stem_file
from streamsep.errors import AudioError, OptionError

Sound = NDArray[np.float32]

MAX_SECONDS = 3_600.0


@dataclass(frozen=True)
class SongFolder:
    """A song on disk: ``files`` holds its stems by name; a stem that is not there is silent.

    Without files, ``path`` itself is a ``.stem.mp4`` or a folder with ``stems.npy``.
    """

    name: str
    path: Path
    files: dict[str, Path]


@dataclass(frozen=True)
class TrueStems:
    """A song's stems [4, 2, n] float32 at 48 kHz in the order of ``STEMS``; the mixture [2, n] is their sum."""

    name: str
    stems: Sound
    mixture: Sound

    @property
    def seconds(self) -> float:
        return self.mixture.shape[1] / SAMPLE_RATE


def find_songs(root: Path, split: str | None = None) -> list[SongFolder]:
    """``root`` itself when it is a song, else every song below it, by name.

    ``split`` keeps those below the folder of that name; without it, where there are ``train`` and ``test`` side by side
    (MUSDB18), ``test`` is taken. Raises OptionError when there is none, or when a folder has one stem twice.
    """
    if not root.exists():
        raise OptionError(f"'{root}' does not exist; check the name.")
    if root.is_file():
        if not _is_stem_file(root):
            raise OptionError(f"'{root}' is a file; give a folder that holds {_wanted()}, or a folder of such folders.")
        return [SongFolder(_name(root, root), root, {})]
    try:
        paths = [root, *sorted(path for path in root.rglob("*") if not _hidden(path, root))]
        songs = _apart([song for path in paths if (song := _song(path, root)) is not None])
    except OSError as error:
        raise OptionError(f"'{root}' cannot be read: {error.strerror}.") from error
    if songs and songs[0].path == root:
        return songs[:1]
    if not songs:
        raise OptionError(f"'{root}' holds no song: none of {_wanted()} is in it or in a folder below it.")
    return _of_split(songs, root, split)


def load_song(song: SongFolder, seconds: float | None = None) -> TrueStems:
    """Read a song's stems, bring them to 48 kHz stereo and to the length of the longest, and sum them.

    ``seconds`` reads only the beginning. Raises AudioError for a file that cannot be read or a song that is silent.
    """
    sounds = _sounds(song, seconds)
    samples = max(sound.shape[1] for sound in sounds.values())
    stems = np.zeros((len(STEMS), 2, samples), np.float32)
    for index, stem in enumerate(STEMS):
        if stem in sounds:
            stems[index, :, : sounds[stem].shape[1]] = sounds[stem]
    if not np.any(stems):
        raise AudioError(f"'{song.path}' is silent in all its stems; there is nothing to measure.")
    return TrueStems(song.name, stems, stems.sum(0))


def _sounds(song: SongFolder, seconds: float | None) -> dict[str, Sound]:
    if song.files:
        return {stem: _read(path, seconds) for stem, path in song.files.items()}
    end = None if seconds is None else round(seconds * SAMPLE_RATE)
    if song.path.is_file():
        return {stem: sound[:, :end] for stem, sound in read_stem_file(song.path, MAX_SECONDS).items()}
    try:
        stems = np.load(song.path / STEMS_FILE, mmap_mode="r")[..., :end]
    except (OSError, ValueError, EOFError) as error:
        raise AudioError(f"'{song.path / STEMS_FILE}' is damaged; make the song again.") from error
    if stems.dtype != np.int16 or stems.ndim != 3 or stems.shape[:2] != (len(STEMS), 2):
        raise AudioError(f"'{song.path / STEMS_FILE}' does not hold int16 stems [4, 2, n]; make the song again.")
    return dict(zip(STEMS, stems.astype(np.float32) / np.float32(32_768), strict=True))


def _read(path: Path, seconds: float | None) -> Sound:
    with open_audio(path) as reader:
        left = None if seconds is None else round(seconds * reader.rate)
        clean, parts = Sanitizer(reader.channels), list[Sound]()
        while left is None or left > 0:
            block = reader.read(65_536 if left is None else min(65_536, left))
            if block.shape[1] == 0:
                break
            parts.append(clean(block))
            left = None if left is None else left - block.shape[1]
        sound = np.concatenate(parts, axis=1)
        if reader.channels > 2:
            raise AudioError(f"'{path}' has {reader.channels} channels; a stem has one or two: mix it down first.")
        return resample(to_stereo(sound), reader.rate, SAMPLE_RATE)


def _apart(songs: list[SongFolder]) -> list[SongFolder]:
    """A song's folder may lie beside its ``.stem.mp4``: the second of a name gets a plus."""
    taken: set[str] = set()
    found: list[SongFolder] = []
    for song in songs:
        name = song.name
        while name in taken:
            name += "+"
        taken.add(name)
        found.append(replace(song, name=name))
    return found


def _song(path: Path, root: Path) -> SongFolder | None:
    if path.is_dir():
        files = _stems(path)
        return SongFolder(_name(path, root), path, files) if files or (path / STEMS_FILE).is_file() else None
    return SongFolder(_name(path, root), path, {}) if _is_stem_file(path) else None


def _is_stem_file(path: Path) -> bool:
    return path.name.lower().endswith(STEM_FILES) and path.is_file()


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _of_split(songs: list[SongFolder], root: Path, split: str | None) -> list[SongFolder]:
    above = {song.path: {part.lower() for part in song.path.relative_to(root).parts[:-1]} for song in songs}
    wanted = split.lower() if split else "test" if {"train", "test"} <= set().union(*above.values()) else None
    if wanted is None:
        return songs
    kept = [song for song in songs if wanted in above[song.path]]
    if not kept:
        raise OptionError(f"'{root}' has no songs below a folder '{wanted}'; leave --split out, or give another one.")
    return kept


def _stems(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = path.stem.lower()
        if stem not in STEMS or path.suffix.lower() not in AUDIO_SUFFIXES or path.is_dir():
            continue
        if stem in files:
            raise OptionError(f"'{folder}' has {stem} twice, '{files[stem].name}' and '{path.name}'; remove one.")
        files[stem] = path
    return {stem: files[stem] for stem in STEMS if stem in files}


def _name(folder: Path, root: Path) -> str:
    name = folder.resolve().name if folder == root else str(folder.relative_to(root))
    ends = [end for end in STEM_FILES if folder.is_file() and name.lower().endswith(end)]
    return name[: -len(ends[0])] if ends else name


def _wanted() -> str:
    return ", ".join(f"{stem}.*" for stem in STEMS)
