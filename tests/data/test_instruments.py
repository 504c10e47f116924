"""Instruments of a part: a bass plays where basses play, whatever notes of it a bank holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamsep.config import SAMPLE_RATE
from streamsep.data.bank import Bank, Clip
from streamsep.data.instruments import Synthesizer, random_instrument


class SineBank(Bank):
    """Every clip is a sine of its pitch."""

    def load(self, clip: Clip) -> np.ndarray:
        assert clip.pitch is not None
        t = np.arange(SAMPLE_RATE, dtype=np.float32) / SAMPLE_RATE
        return np.sin(2 * np.pi * hertz(clip.pitch) * t)[None].astype(np.float32)


def hertz(pitch: float) -> float:
    return 440 * 2 ** ((pitch - 69) / 12)


def bank(**pitches: tuple[int, ...]) -> SineBank:
    rows = [(name, pitch) for name, notes in pitches.items() for pitch in notes]
    clip = [Clip(Path(f"{n}{p}.wav"), f"{n}{p}", "bass", n, n, "finger", float(p), None, 1.0) for n, p in rows]
    return SineBank(clip, {})


def test_a_part_of_a_bank_without_low_notes_is_no_bass() -> None:
    basses = bank(low=(28, 31, 34, 37, 40), high=(52, 61, 70), middle=(46,))
    rng = np.random.default_rng(0)
    assert {random_instrument(rng, "bass", "bass", basses, 0.0).name for _ in range(30)} == {"low:low:finger"}
    assert isinstance(random_instrument(rng, "bass", "bass", bank(high=(52, 61, 70)), 0.0), Synthesizer)
    others = {random_instrument(rng, "bass", "lead", basses, 0.0).name for _ in range(60)}
    assert len(others) == 3  # as anything else than a bass, they play


@pytest.mark.parametrize("notes", [(40, 59), (28, 50, 64), (24, 41, 52, 64), (36, 48, 60, 72)])
def test_a_bass_sounds_an_octave_from_what_is_written_at_most(notes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    instrument = random_instrument(rng, "bass", "bass", bank(bass=notes), 0.0)
    for pitch in range(26, 46):
        sound = instrument.note(pitch, 0.9, 1.0, rng)
        spectrum = np.abs(np.fft.rfft(sound.reshape(-1, sound.shape[-1])[0]))
        heard = float(np.argmax(spectrum)) * SAMPLE_RATE / sound.shape[-1]
        assert hertz(pitch) / 2.1 < heard < hertz(pitch) * 2.1
