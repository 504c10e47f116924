"""Where somebody sings: an energy gate, or Silero VAD where it is installed. Knows samples; knows no files."""

from __future__ import annotations

import importlib.util

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.resample import resample
from streamsep.choices import check_choice
from streamsep.config import SAMPLE_RATE
from streamsep.errors import OptionError

Sound = NDArray[np.float32]
Mask = NDArray[np.bool_]

GATES: tuple[str, ...] = ("auto", "energy", "silero", "none")
BLOCK = SAMPLE_RATE // 20  # samples that are judged together: 50 ms
_OPEN_DBFS, _BELOW_MIXTURE_DB = -50.0, 25.0
_HOLD = 6  # blocks that a gate stays open on either side: breaths and consonants
_FADE = SAMPLE_RATE // 100
_VAD_RATE = 16_000


def choose_gate(name: str) -> str:
    """``auto`` is ``silero`` where that is installed, else ``energy``. Raises OptionError for one that is not here."""
    check_choice("gate", name, GATES)
    installed = importlib.util.find_spec("silero_vad") is not None
    if name == "silero" and not installed:
        raise OptionError("Silero VAD is not installed; pip install silero-vad, or use --gate energy.")
    return ("silero" if installed else "energy") if name == "auto" else name


def vocal_activity(vocals: Sound, mixture: Sound, gate: str) -> Mask:
    """Blocks of 50 ms in which vocals [2, n] are taken to sound, 0.3 s around them included: [ceil(n / BLOCK)]."""
    blocks = -(-vocals.shape[1] // BLOCK)
    if gate == "none":
        return np.ones(blocks, bool)
    level = _levels(vocals)
    heard = (level > _OPEN_DBFS) & (level > _levels(mixture) - _BELOW_MIXTURE_DB)
    if gate == "silero":
        heard &= _speech(vocals, blocks)
    return (
        np.convolve(heard, np.ones(2 * _HOLD + 1), "same") > 0.5 if blocks > 2 * _HOLD else np.full(blocks, heard.any())
    )


def apply_gate(sound: Sound, open_blocks: Mask) -> Sound:
    """``sound`` [2, n] with silence where the gate is shut, and ramps of 10 ms."""
    gain = np.repeat(open_blocks.astype(np.float32), BLOCK)[: sound.shape[1]]
    ramp = np.ones(_FADE, np.float32) / _FADE
    return sound * np.convolve(gain, ramp, "same").astype(np.float32)


def _levels(sound: Sound) -> NDArray[np.float64]:
    padded = np.pad(sound, [(0, 0), (0, -sound.shape[1] % BLOCK)]).astype(np.float64)
    power = (padded**2).mean(0).reshape(-1, BLOCK).mean(1)
    return 10 * np.log10(np.maximum(power, 1e-20))


def _speech(vocals: Sound, blocks: int) -> Mask:
    import torch
    from silero_vad import get_speech_timestamps, load_silero_vad

    mono = resample(vocals.mean(0, keepdims=True), SAMPLE_RATE, _VAD_RATE)[0]
    peak = float(np.max(np.abs(mono)))
    wave = torch.from_numpy(mono / np.float32(peak or 1.0))  # stems are often quiet; it was trained on speech at level
    found = np.zeros(blocks, bool)
    for part in get_speech_timestamps(wave, load_silero_vad(), sampling_rate=_VAD_RATE, threshold=0.3):
        first, last = part["start"] * 3 // BLOCK, -(-part["end"] * 3 // BLOCK)
        found[first:last] = True
    return found
