"""A small bank of real files, and songs on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

RATE = 48_000
Sound = NDArray[np.float32]


def tone(hz: float, seconds: float, harmonics: int = 6) -> Sound:
    t = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, harmonics + 1))
    return (0.2 * wave * np.minimum(1, (seconds - t) * 20)).astype(np.float32)


def hit(seed: int, seconds: float = 0.2) -> Sound:
    t = np.arange(int(seconds * RATE)) / RATE
    return (0.5 * np.random.default_rng(seed).standard_normal(len(t)) * np.exp(-t / 0.03)).astype(np.float32)


@pytest.fixture(scope="session")
def bank_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with drums, bass and other notes, sung notes, phrases, and one whole song of two stems."""
    root = tmp_path_factory.mktemp("bank")
    rows: list[dict[str, Any]] = []

    def add(path: str, stem: str, sound: Sound, **more: Any) -> None:
        file = root / "bank" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, sound.T, RATE, subtype="PCM_16")
        rows.append({"path": path, "stem": stem, "duration_s": sound.shape[-1] / RATE, **more})

    for index, name in enumerate(["kick", "snare", "hihat-closed", "hihat-open", "crash", "tom-low"] * 4):
        add(f"drums/kit/{name}_{index}.wav", "drums", hit(index), library="kit", instrument=name, articulation="hit")
    for pitch in range(28, 52, 2):
        hz = 440 * 2 ** ((pitch - 69) / 12)
        add(f"bass/finger/b{pitch}.wav", "bass", tone(hz, 0.8), library="finger", instrument="bass", midi_pitch=pitch)
        hz *= 4
        more = {"library": "piano", "instrument": "piano", "f0_midi_est": pitch + 24.0, "articulation": "sustain"}
        add(f"other/piano/p{pitch}.wav", "other", tone(hz, 1.0, 3), **more)
        more = {"library": "choir", "instrument": "voice_x", "f0_midi_est": pitch + 20.0, "articulation": "sung_ah"}
        add(f"vocals/choir/v{pitch}.wav", "vocals", tone(hz * 0.8, 1.0, 12), **more)
        phrase = np.concatenate([tone(hz * r, 0.3, 12) for r in (1, 1.12, 1.26)])
        more = {"library": "phrases", "instrument": "voice_sung_phrase", "articulation": "phrase"}
        add(f"vocals/phrases/take{pitch}_a_minor.wav", "vocals", phrase, **more)
    for stem, hz in (("vocals", 300.0), ("drums", 90.0)):
        song = np.stack([tone(hz, 12.0), tone(hz, 12.0)])
        add(f"{stem}/act/song.wav", stem, song, library="act", articulation="song_stem_aligned")
    index_file = root / "bank.jsonl"
    index_file.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return index_file


@pytest.fixture(scope="session")
def stems() -> Sound:
    """Four unlike stems ``[4, 2, n]``, 8 s; vocals silent in the second half."""
    sound = np.stack([np.stack([tone(hz, 8.0), 0.5 * tone(hz, 8.0)]) for hz in (330.0, 1_200.0, 60.0, 500.0)])
    sound[0, :, sound.shape[2] // 2 :] = 0
    return sound
