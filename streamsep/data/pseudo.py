"""Stems of music that has none, by a teacher: split, gate the vocals, drop what does not add up, write a pool.

Knows songs and pools; the teacher is any separator of ``streamsep.data.systems``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.files import AUDIO_SUFFIXES
from streamsep.choices import check_choice
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.data.dataset import PIECE_SECONDS, describe_real
from streamsep.data.gate import BLOCK, apply_gate, choose_gate, vocal_activity
from streamsep.data.pool import POOL_FORMATS, fitting, is_whole, turned_down, write_song
from streamsep.data.sources import read_sound
from streamsep.data.systems import System
from streamsep.errors import OptionError, StreamsepError

Sound = NDArray[np.float32]

MAX_SECONDS = 1_800.0
MIN_SECONDS = 8.0  # of a piece
_SILENT = 1e-3  # peak


@dataclass(frozen=True)
class PseudoOptions:
    """``max_residual`` in dB: a piece whose stems miss the mixture by more is dropped; see ``gate.GATES``."""

    gate: str = "auto"
    max_residual: float = -20.0
    format: str = "npy"

    def __post_init__(self) -> None:
        """Raise OptionError for the first value that makes no sense."""
        choose_gate(self.gate)
        if not -120 <= self.max_residual < 0:
            raise OptionError(f"--max-residual {self.max_residual:g} is outside -120 to 0 dB.")
        check_choice("format", self.format, POOL_FORMATS)


@dataclass
class PseudoReport:
    """Pieces that are in the pool now and that were dropped; ``failures`` and ``notes`` as one sentence each."""

    songs: int = 0
    pieces: int = 0
    dropped: int = 0
    seconds: float = 0.0
    vocal_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def pseudo_label(
    root: Path,
    out: Path,
    teacher: System,
    options: PseudoOptions,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> PseudoReport:
    """Label every sound file below ``root`` (or the file ``root``) and write it to the pool ``out`` in 40 s pieces.

    Songs that are there already are kept. What the teacher leaves of the mixture, and vocals where the gate is shut, go
    to ``other``, so that the stems sum to the mixture. Raises OptionError when there is no sound file.
    """
    songs = find_mixtures(root)
    report = PseudoReport()
    taken: set[str] = set()
    for index, path in enumerate(songs):
        progress(path.name, index, len(songs))
        name = fitting(_name(path, root))
        while name in taken:
            name += "+"
        taken.add(name)
        if is_whole(out / f"{name}_000"):
            report.songs += 1
            report.notes.append(f"'{name}' is in '{out}' already; delete its folders to label it again.")
            continue
        try:
            _label(path, name, out, teacher, options, report)
        except StreamsepError as error:
            report.failures.append(f"'{path}' is skipped: {error}")
    progress("", len(songs), len(songs))
    return report


def find_mixtures(root: Path) -> list[Path]:
    """Sound files by path. Raises OptionError when there is none."""
    if not root.exists():
        raise OptionError(f"'{root}' does not exist; check the name.")
    found = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    songs = [path for path in found if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")]
    if not songs:
        raise OptionError(f"'{root}' holds no sound file; give a folder of songs.")
    return songs


def _label(path: Path, name: str, out: Path, teacher: System, options: PseudoOptions, report: PseudoReport) -> None:
    mixture = read_sound(path, MAX_SECONDS)
    found = teacher(mixture)
    missing = [stem for stem in STEMS if stem not in found]
    if missing:
        raise StreamsepError(f"the teacher '{teacher.name}' gave no {', '.join(missing)}; all four stems are needed.")
    stems = np.stack([found[stem] for stem in STEMS])
    gate = choose_gate(options.gate)
    size = int(PIECE_SECONDS * SAMPLE_RATE)
    kept: list[tuple[Sound, float, float]] = []
    for start in range(0, mixture.shape[1], size):
        part, piece = mixture[:, start : start + size], stems[:, :, start : start + size]
        if (start and part.shape[1] < MIN_SECONDS * SAMPLE_RATE) or np.max(np.abs(part), initial=0) < _SILENT:
            continue
        residual = residual_db(part, piece)
        if residual > options.max_residual:
            report.dropped += 1
            continue
        whole, active = complete(part, piece, gate)
        kept.append((turned_down(whole), residual, active))
    if not kept:
        raise StreamsepError("no piece of it adds up, or all of it is silent; see --max-residual.")
    # The first piece last: a song whose piece 0 stands is whole.
    for number in reversed(range(len(kept))):
        whole, residual, active = kept[number]
        meta = describe_real(name, whole, "pseudo", "train")
        meta |= {"teacher": teacher.name, "gate": gate, "residual_db": round(residual, 2), "vocals": round(active, 3)}
        write_song(out, f"{name}_{number:03d}", whole, meta, options.format)
        report.seconds += whole.shape[2] / SAMPLE_RATE
        report.vocal_seconds += active * whole.shape[2] / SAMPLE_RATE
    report.songs += 1
    report.pieces += len(kept)


def complete(mixture: Sound, stems: Sound, gate: str) -> tuple[Sound, float]:
    """Mixture [2, n] and a teacher's stems [4, 2, n] → stems that sum to it, vocals gated; share of vocal activity."""
    whole = stems.copy()
    heard = vocal_activity(stems[0], mixture, gate)
    whole[0] = apply_gate(stems[0], heard)
    whole[3] = mixture - whole[:3].sum(0)
    return whole, float(heard.sum() * BLOCK / max(len(heard) * BLOCK, 1))


def residual_db(mixture: Sound, stems: Sound) -> float:
    """Energy of what the stems [4, 2, n] miss of the mixture [2, n], relative to it, in dB, at least -120."""
    true = mixture.astype(np.float64)
    rest = true - stems.sum(0, dtype=np.float64)
    return float(10 * np.log10(max(np.sum(rest**2) / max(float(np.sum(true**2)), 1e-20), 1e-12)))


def _name(path: Path, root: Path) -> str:
    """With the suffix, so that two songs that differ in it alone do not meet."""
    parts = path.relative_to(root).parts if root.is_dir() else (path.name,)
    return " - ".join(parts).replace(".", "_")
