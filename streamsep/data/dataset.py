"""Fill a pool with composed songs and with the bank's whole songs, over several processes; can be resumed."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from streamsep.choices import check_choice
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.data.bank import SPLITS, Bank
from streamsep.data.compose import MAX_SECONDS, MIN_SECONDS, active_fractions, compose_song
from streamsep.data.pool import POOL_FORMATS, SONG_FILE, is_whole, sounds_of, write_song
from streamsep.errors import OptionError

Sound = NDArray[np.float32]

PIECE_SECONDS = 40.0  # whole songs are cut into pieces of this length
_MIN_PIECE = 8.0
_SEEDS = 1_000_000  # songs that a seed can have


@dataclass(frozen=True)
class Job:
    """One song to make."""

    out: Path
    seed: int
    seconds: float
    split: str
    format: str

    @property
    def name(self) -> str:
        return f"{self.split}_{self.seed:08d}"


def compose_dataset(
    out: Path,
    songs: int,
    seconds: float,
    bank: Path | None = None,
    seed: int = 1,
    split: str = "train",
    workers: int = 1,
    format: str = "npy",
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Compose ``songs`` songs into ``out``, song ``i`` from seed ``1000000 * seed + i``; returns how many were new.

    ``bank`` is the path of an index, None for the synthesizers alone. Songs that are there already are kept, so that
    an interrupted run goes on. ``progress(done, songs)`` is called at the start and after each song.
    Raises OptionError for options that make no sense or songs in ``out`` that other options made, and what
    ``compose_song`` and ``write_song`` raise.
    """
    check_options(songs, seconds, seed, split, workers, format)
    if bank is not None:
        Bank.open(bank).split(split)  # says now, not from a worker, what is wrong with it
    every = [Job(out, _SEEDS * seed + i, seconds, split, format) for i in range(songs)]
    missing = [job for job in every if not _exists(job, bank is not None)]
    _clear_parts(missing)
    done = songs - len(missing)
    if progress is not None:
        progress(done, songs)
    try:
        with _workers(bank, split, min(workers, len(missing))) as finished:
            for _ in finished(missing):
                done += 1
                if progress is not None:
                    progress(done, songs)
    finally:
        _clear_parts(missing)
    return len(missing)


def check_options(songs: int, seconds: float, seed: int, split: str, workers: int, format: str) -> None:
    """Raise OptionError for the first option that makes no sense."""
    if not 1 <= songs <= _SEEDS:
        raise OptionError(f"--songs {songs} is outside 1 to {_SEEDS}.")
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise OptionError(f"--seconds {seconds:g} is outside {MIN_SECONDS:g} to {MAX_SECONDS:g}.")
    if seed < 0:
        raise OptionError(f"--seed {seed} is negative; give 0 or more.")
    if workers < 1:
        raise OptionError(f"--workers {workers} makes nothing; give 1 or more.")
    check_choice("split", split, SPLITS)
    check_choice("format", format, POOL_FORMATS)


def _exists(job: Job, with_bank: bool) -> bool:
    """Whether the job's song stands there. Raises OptionError when it is another song of the same name."""
    folder = job.out / job.name
    if not is_whole(folder):
        return False
    wanted = {"seconds": round(round(job.seconds * SAMPLE_RATE) / SAMPLE_RATE, 3), "bank": with_bank}
    try:
        meta: Any = json.loads((folder / SONG_FILE).read_text("utf-8"))
        same = all(meta[key] == value for key, value in wanted.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if not same or not sounds_of(folder, job.format):
        raise OptionError(f"'{folder}' was made with other options; choose another folder, or delete that one.")
    return True


def _clear_parts(jobs: list[Job]) -> None:
    """Remove what processes that are no more have left half-written."""
    names = {job.name for job in jobs}
    for part in jobs[0].out.glob(".*.part") if jobs else ():
        name, _, process = part.name[1 : -len(".part")].rpartition(".")
        if name in names and process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def _workers(bank: Path | None, split: str, workers: int) -> Iterator[Callable[[list[Job]], Iterator[str]]]:
    """A function that makes jobs' songs, in this process or in several."""
    if workers <= 1:
        worker = _Worker(bank, split)
        yield lambda jobs: (worker(job) for job in jobs)
        return
    # Spawned, not forked: a parent with threads (BLAS, progress bars) must not be copied in mid-step.
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _start, (bank, split)) as pool:
        yield lambda jobs: pool.imap_unordered(_work, jobs)


class _Worker:
    def __init__(self, bank: Path | None, split: str) -> None:
        self._bank = None if bank is None else Bank.open(bank).split(split)

    def __call__(self, job: Job) -> str:
        song = compose_song(job.seed, job.seconds, self._bank, job.split)
        write_song(job.out, job.name, song.stems, song.meta, job.format)
        return job.name


_worker: list[_Worker] = []  # what a worker process keeps between jobs: its bank, decoded


def _start(bank: Path | None, split: str) -> None:
    _worker[:] = [_Worker(bank, split)]


def _work(job: Job) -> str:
    return _worker[0](job)


def real_songs(out: Path, bank: Bank, format: str = "npy") -> int:
    """Write the bank's whole songs to ``out`` in pieces; a stem that a song lacks is silence. Returns the count."""
    count = 0
    for name, clips in sorted(bank.songs.items()):
        sounds = {stem: bank.load(clip) for stem, clip in clips.items()}
        samples = max(sound.shape[1] for sound in sounds.values())
        stems = np.zeros((len(STEMS), 2, samples), np.float32)
        for index, stem in enumerate(STEMS):
            if stem in sounds:
                stems[index, :, : sounds[stem].shape[1]] = sounds[stem]
        for number, piece in enumerate(pieces(stems)):
            folder = f"{name}_{number:02d}"
            if not is_whole(out / folder):
                write_song(out, folder, piece, describe_real(name, piece, "real", "train"), format)
            count += 1
    return count


def pieces(stems: Sound, seconds: float = PIECE_SECONDS) -> Iterator[Sound]:
    """Cut ``[4, 2, n]`` into pieces, the last one shorter; what is silent or too short to train on is left out."""
    size = int(seconds * SAMPLE_RATE)
    for start in range(0, max(1, stems.shape[2]), size):
        piece = stems[:, :, start : start + size]
        if start and piece.shape[2] < _MIN_PIECE * SAMPLE_RATE:
            return
        if np.max(np.abs(piece)) > 1e-3:
            yield piece


def describe_real(name: str, stems: Sound, source: str, split: str) -> dict[str, Any]:
    """The ``song.json`` of recorded stems."""
    return {
        "source": source,
        "title": name,
        "split": split,
        "seconds": round(stems.shape[2] / SAMPLE_RATE, 3),
        "active": active_fractions(stems),
    }


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
