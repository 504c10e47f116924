"""The folder of recorded sounds that songs are made from: its index, its split, its samples. Knows no music.

The index is JSON lines, one sound a line: ``path`` (relative to the folder ``bank`` beside the index, or to the index
itself), ``stem``, ``library``, ``instrument``, ``articulation``, ``midi_pitch``, ``f0_midi_est``, ``velocity``,
``duration_s``; all but the first two may be missing or null.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import soundfile  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from streamsep.audio.resample import resample
from streamsep.choices import check_choice
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.errors import AudioError, OptionError

Sound = NDArray[np.float32]

SPLITS: tuple[str, ...] = ("train", "valid", "test")
_TEST_SHARE = 10  # per cent of the sounds that training never hears
_SONG_SECONDS = 60.0  # a file this long with an ``articulation`` of song_stem_aligned is a whole stem


@dataclass(frozen=True)
class Clip:
    """One recorded sound. ``pitch`` is a MIDI number, or None where it is unknown or makes no sense."""

    path: Path
    key: str  # the path as the index has it: the split hangs on it
    stem: str
    library: str
    instrument: str
    articulation: str
    pitch: float | None
    velocity: str | None
    seconds: float


class Bank:
    """Clips by stem, and their samples, decoded when first asked for and kept while there is room."""

    def __init__(self, clips: Iterable[Clip], songs: Mapping[str, Mapping[str, Clip]], room: int = 700_000_000) -> None:
        self.clips = tuple(clips)
        self.songs = {name: dict(stems) for name, stems in songs.items()}
        self._room = room  # bytes of decoded sound
        self._held: OrderedDict[Path, NDArray[np.int16]] = OrderedDict()
        self._bytes = 0

    @staticmethod
    def open(index: Path) -> Bank:
        """Read an index. Raises OptionError when it is missing or a line of it is not what it should be."""
        try:
            lines = index.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise OptionError(f"the bank '{index}' cannot be read: {error}; give the path of its index.") from error
        root = index.parent / "bank"
        root = root if root.is_dir() else index.parent
        rows = [_row(index, number, line) for number, line in enumerate(lines, 1) if line.strip()]
        if not rows:
            raise OptionError(f"the bank '{index}' names no sound; give an index with one sound a line.")
        trusted = _trusted_names(rows)
        clips: list[Clip] = []
        whole: list[Clip] = []
        for row in rows:
            clip = _clip(root, row, trusted)
            if clip.articulation == "song_stem_aligned" or clip.seconds >= _SONG_SECONDS:
                whole.append(clip)
            else:
                clips.append(clip)
        return Bank(clips, _songs(whole))

    def split(self, name: str) -> Bank:
        """The part of the bank that songs of a split may use: ``train``, or the held-out rest for valid and test.

        Whole songs belong to ``train`` alone.
        """
        check_choice("split", name, SPLITS)
        held_out = name != "train"
        chosen = [clip for clip in self.clips if is_held_out(clip.key) == held_out]
        return Bank(chosen, {} if held_out else self.songs, self._room)

    def of(self, stem: str) -> list[Clip]:
        """All clips of a stem, in the order of the index."""
        return [clip for clip in self.clips if clip.stem == stem]

    def load(self, clip: Clip) -> Sound:
        """Samples ``[channels, n]`` float32 at 48 kHz. Raises AudioError when the file cannot be read."""
        held = self._held.get(clip.path)
        if held is None:
            held = _decode(clip.path)
            self._held[clip.path] = held
            self._bytes += held.nbytes
            while self._bytes > self._room and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1].nbytes
        else:
            self._held.move_to_end(clip.path)
        return held.astype(np.float32) / np.float32(32768.0)


def is_held_out(key: str) -> bool:
    """Whether training never hears this sound: the same answer on every machine, whatever else is in the index."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % 100 < _TEST_SHARE


def _decode(path: Path) -> NDArray[np.int16]:
    try:
        sound, rate = soundfile.read(str(path), dtype="int16", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError(f"the bank's sound '{path}' cannot be read: {error}.") from error
    samples = np.asarray(np.ascontiguousarray(sound[:, :2].T), np.int16)
    if rate != SAMPLE_RATE:
        wave = resample(samples.astype(np.float32), rate, SAMPLE_RATE)
        samples = np.clip(wave, -32768, 32767).astype(np.int16)
    return samples


def _row(index: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise OptionError(f"line {number} of the bank '{index}' is not JSON: {error.msg}.") from error
    if not isinstance(row, dict) or not isinstance(row.get("path"), str) or row.get("stem") not in STEMS:
        raise OptionError(f"line {number} of the bank '{index}' needs a path and a stem of {', '.join(STEMS)}.")
    if not isinstance(row.get("duration_s", 0.0), int | float | None):
        raise OptionError(f"line {number} of the bank '{index}' has a duration_s that is no number of seconds.")
    return row


def _trusted_names(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Libraries whose written pitches agree with what was measured: there a missing or odd measure does no harm."""
    gaps: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if _sane(row.get("midi_pitch")) and _sane(row.get("f0_midi_est")):
            gaps[str(row.get("library") or "")].append(abs(row["midi_pitch"] - row["f0_midi_est"]))
    doubtful = {library for library, values in gaps.items() if float(np.mean(np.array(values) < 1.0)) <= 0.7}
    return {str(row.get("library") or "") for row in rows} - doubtful


def _sane(pitch: Any) -> bool:
    return isinstance(pitch, int | float) and 20.0 <= pitch <= 108.0


def _songs(clips: Sequence[Clip]) -> dict[str, dict[str, Clip]]:
    """Whole stems of one library that lie in one folder, but for a folder of the stem's name, are one song's."""
    found: dict[tuple[str, ...], dict[str, Clip]] = {}
    for clip in clips:
        place = (clip.library, *(part for part in PurePath(clip.key).parent.parts if part != clip.stem))
        if clip.stem in found.get(place, {}):  # a song has a stem once: this is of another
            place = (*place, clip.key)
        found.setdefault(place, {})[clip.stem] = clip
    songs: dict[str, dict[str, Clip]] = {}
    counts: Counter[str] = Counter()
    for (library, *_), stems in found.items():
        name = library
        while name in songs:
            counts[library] += 1
            name = f"{library}+{counts[library]}"
        songs[name] = stems
    return songs


def _clip(root: Path, row: Mapping[str, Any], trusted: set[str]) -> Clip:
    written, measured = row.get("midi_pitch"), row.get("f0_midi_est")
    library = str(row.get("library") or "")
    pitch: float | None = float(measured) if measured is not None and _sane(measured) else None
    if library in trusted and _sane(written) and written is not None and (pitch is None or abs(pitch - written) >= 1.0):
        pitch = float(written)
    velocity = row.get("velocity")
    return Clip(
        path=root / row["path"],
        key=row["path"],
        stem=row["stem"],
        library=library,
        instrument=str(row.get("instrument") or ""),
        articulation=str(row.get("articulation") or ""),
        pitch=pitch,
        velocity=None if velocity is None else str(velocity),
        seconds=float(row.get("duration_s") or 0.0),
    )
