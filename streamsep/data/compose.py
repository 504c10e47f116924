"""Compose a song with known stems: plan, play, mix. The same seed gives the same song."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamsep.choices import check_choice
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.data.accompaniment import other_part
from streamsep.data.arrange import Plan, make_plan
from streamsep.data.bank import Bank
from streamsep.data.mixdown import mix_down, treat
from streamsep.data.rhythm_section import bass_part, drum_part
from streamsep.data.vocals import vocal_part
from streamsep.errors import OptionError

Sound = NDArray[np.float32]

MIN_SECONDS, MAX_SECONDS = 1.0, 1_200.0
_SALT = {"train": 0, "valid": 1, "test": 2}  # so that equal seeds of different splits are different songs


@dataclass(frozen=True)
class Song:
    """``stems`` ``[4, 2, n]`` float32 at 48 kHz in the order of ``STEMS``; the mixture is their sum, peak ≤ 0.95."""

    stems: Sound
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def mixture(self) -> Sound:
        return self.stems.sum(0)


def compose_song(seed: int, seconds: float, bank: Bank | None = None, split: str = "train") -> Song:
    """Compose ``seconds`` of music from a part of a bank (``bank.split(split)``), or from the synthesizers alone.

    Raises OptionError for a length or a seed that makes no sense, AudioError when a sound of the bank is unreadable.
    """
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise OptionError(f"a song of {seconds:g} s is outside {MIN_SECONDS:g} to {MAX_SECONDS:g} s.")
    if seed < 0:
        raise OptionError(f"seed {seed} is negative; give 0 or more.")
    check_choice("split", split, _SALT)
    samples = round(seconds * SAMPLE_RATE)
    plan = make_plan(_rng(seed, split, "plan"), samples / SAMPLE_RATE)
    made: dict[str, Any] = {}
    stems = np.zeros((len(STEMS), 2, samples), np.float32)
    kicks: list[float] = []
    # Drums first: bass and pumping listen to the kick.
    for stem in ("drums", "bass", "other", "vocals"):
        if stem not in plan.stems:
            continue
        rng = _rng(seed, split, stem)
        if stem == "drums":
            dry, strokes = drum_part(rng, plan, bank, samples)
            kicks = [stroke.seconds for stroke in strokes if stroke.role == "kick"]
        elif stem == "bass":
            dry, made[stem] = bass_part(rng, plan, bank, samples, kicks)
        elif stem == "other":
            dry, made[stem] = other_part(rng, plan, bank, samples)
        else:
            dry, made[stem] = vocal_part(rng, plan, bank, samples)
        stems[STEMS.index(stem)] = treat(stem, dry, rng, plan, kicks)
    stems = mix_down(stems, _rng(seed, split, "levels"))
    return Song(stems, _describe(seed, split, bank is not None, plan, made, stems))


def _rng(seed: int, split: str, purpose: str) -> Generator:
    """A stream of its own for each purpose: a change in the drums leaves the vocals as they were."""
    return np.random.default_rng((seed, _SALT[split], *purpose.encode()))


def _describe(seed: int, split: str, bank: bool, plan: Plan, made: dict[str, Any], stems: Sound) -> dict[str, Any]:
    return {
        "source": "composed",
        "seed": seed,
        "split": split,
        "bank": bank,
        "seconds": round(stems.shape[2] / SAMPLE_RATE, 3),
        "bpm": round(plan.bpm, 2),
        "genre": plan.genre,
        "key": [plan.key.tonic, plan.key.mode],
        "sections": [[section.kind, round(plan.time(section.start), 2)] for section in plan.sections],
        "made_of": made,
        "active": active_fractions(stems),
    }


def active_fractions(stems: Sound) -> dict[str, float]:
    """Part of the tenths of a second in which each stem of ``[4, 2, n]`` is above −60 dBFS RMS."""
    block = SAMPLE_RATE // 10
    count = max(1, stems.shape[2] // block)
    fractions: dict[str, float] = {}
    for index, stem in enumerate(STEMS):
        power = np.mean(stems[index] ** 2, axis=0)[: count * block]
        power = power[: len(power) // count * count].reshape(count, -1).mean(1) if len(power) else np.zeros(1)
        fractions[stem] = round(float(np.mean(power > 1e-6)), 3)
    return fractions
