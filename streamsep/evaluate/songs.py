"""Songs with true stems on disk: finds them, reads them at 48 kHz. Knows folders; knows nothing of models or scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.blocks import to_stereo
from streamsep.audio.files import AUDIO_SUFFIXES, open_audio
from streamsep.audio.resample import resample
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.errors import AudioError, OptionError

Sound = NDArray[np.float32]


@dataclass(frozen=True)
class SongFolder:
    """A song on disk: ``files`` holds its stems by name; a stem that is not there is silent."""

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


def find_songs(root: Path) -> list[SongFolder]:
    """``root`` itself when it holds stems, else every folder below it that does, by name.

    Raises OptionError when there is none, or when a folder has one stem twice.
    """
    if not root.exists():
        raise OptionError(f"'{root}' does not exist; check the name.")
    if not root.is_dir():
        raise OptionError(f"'{root}' is a file; give a folder that holds {_wanted()}, or a folder of such folders.")
    try:
        folders = [root, *sorted(path for path in root.rglob("*") if path.is_dir())]
        songs = [SongFolder(_name(folder, root), folder, files) for folder in folders if (files := _stems(folder))]
    except OSError as error:
        raise OptionError(f"'{root}' cannot be read: {error.strerror}.") from error
    if songs and songs[0].path == root:
        return songs[:1]
    if not songs:
        raise OptionError(f"'{root}' holds no song: none of {_wanted()} is in it or in a folder below it.")
    return songs


def load_song(song: SongFolder, seconds: float | None = None) -> TrueStems:
    """Read a song's stems, bring them to 48 kHz stereo and to the length of the longest, and sum them.

    ``seconds`` reads only the beginning. Raises AudioError for a file that cannot be read or a song that is silent.
    """
    sounds = {stem: _read(path, seconds) for stem, path in song.files.items()}
    samples = max(sound.shape[1] for sound in sounds.values())
    stems = np.zeros((len(STEMS), 2, samples), np.float32)
    for index, stem in enumerate(STEMS):
        if stem in sounds:
            stems[index, :, : sounds[stem].shape[1]] = sounds[stem]
    if not np.any(stems):
        raise AudioError(f"'{song.path}' is silent in all its stems; there is nothing to measure.")
    return TrueStems(song.name, stems, stems.sum(0))


def _read(path: Path, seconds: float | None) -> Sound:
    with open_audio(path) as reader:
        left = None if seconds is None else round(seconds * reader.rate)
        parts: list[Sound] = []
        while left is None or left > 0:
            block = reader.read(65_536 if left is None else min(65_536, left))
            if block.shape[1] == 0:
                break
            parts.append(block)
            left = None if left is None else left - block.shape[1]
        sound = np.nan_to_num(np.concatenate(parts, axis=1), nan=0.0, posinf=0.0, neginf=0.0)
        if reader.channels > 2:
            raise AudioError(f"'{path}' has {reader.channels} channels; a stem has one or two: mix it down first.")
        return resample(to_stereo(sound), reader.rate, SAMPLE_RATE)


def _stems(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = path.stem.lower()
        if stem not in STEMS or path.suffix.lower() not in AUDIO_SUFFIXES or not path.is_file():
            continue
        if stem in files:
            raise OptionError(f"'{folder}' has {stem} twice, '{files[stem].name}' and '{path.name}'; remove one.")
        files[stem] = path
    return {stem: files[stem] for stem in STEMS if stem in files}


def _name(folder: Path, root: Path) -> str:
    return folder.resolve().name if folder == root else str(folder.relative_to(root))


def _wanted() -> str:
    return ", ".join(f"{stem}.*" for stem in STEMS)
