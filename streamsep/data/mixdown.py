"""From dry stems to a mixture: effects for each, then levels and one limiter for all, so that stems still sum to it."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from streamsep.config import STEMS
from streamsep.data.arrange import Plan
from streamsep.data.effects import (
    biquad,
    chorus,
    compress,
    echo,
    filtered,
    place,
    pump,
    random_eq,
    reverb,
    room,
    saturate,
)
from streamsep.data.track import levelled

Sound = NDArray[np.float32]

PEAK = 0.95
# Chance of each effect by stem: compression, saturation, reverberation, echo, chorus, pumping.
_CHANCES: dict[str, tuple[float, float, float, float, float, float]] = {
    "vocals": (0.75, 0.15, 0.75, 0.35, 0.12, 0.03), "drums": (0.6, 0.25, 0.5, 0.03, 0.0, 0.0),
    "bass": (0.6, 0.35, 0.08, 0.0, 0.12, 0.2), "other": (0.35, 0.2, 0.7, 0.15, 0.1, 0.25),
}  # fmt: skip
# Level in dB: mean and spread, over the time in which the stem sounds.
_LEVELS: dict[str, tuple[float, float]] = {
    "vocals": (0.0, 2.5), "drums": (-1.0, 3.0), "bass": (-3.0, 3.0), "other": (-3.0, 3.5)
}  # fmt: skip
_LIMIT_STEP = 64


def treat(stem: str, dry: Sound, rng: Generator, plan: Plan, kicks: list[float]) -> Sound:
    """A stem ``[2, n]`` with its effects; about 0.2 RMS in its loudest moments."""
    x = levelled(dry)
    if not np.any(x):
        return x
    squeeze, drive, space, repeats, thick, ducking = _CHANCES[stem]
    if stem == "vocals":
        x = filtered(x, biquad("high", float(rng.uniform(60, 130))))
        x = _telephone(x, rng) if rng.random() < 0.04 else x
    x = random_eq(x, rng, 0.6 if stem == "bass" else 1.0)
    if rng.random() < squeeze:
        x = compress(
            levelled(x), float(rng.uniform(-30, -12)), float(rng.uniform(1.5, 8)), float(rng.uniform(0.001, 0.03))
        )
    if rng.random() < drive:
        x = saturate(levelled(x), float(rng.uniform(2, 16)))
    if rng.random() < thick:
        x = chorus(x, rng)
    if rng.random() < repeats:
        beats = float(rng.choice([0.25, 0.5, 0.75, 1.0, 1.5]))
        feedback, wet = float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.1, 0.45))
        x = echo(x, beats * 60 / plan.bpm, feedback, wet, bool(rng.random() < 0.5))
    if rng.random() < space:
        long = rng.random() < (0.15 if stem == "drums" else 0.45)
        seconds = float(rng.uniform(1.2, 3.0)) if long else float(rng.uniform(0.2, 1.0))
        wet = float(rng.uniform(0.04, 0.5)) * (0.6 if long else 1.0) * (0.5 if stem == "drums" else 1.0)
        x = reverb(x, room(rng, seconds), wet)
    if kicks and rng.random() < ducking:
        x = pump(x, kicks, float(rng.uniform(0.3, 0.9)), float(rng.uniform(0.12, 0.4)))
    if stem == "vocals" and rng.random() < 0.5:  # a lead stands in the middle more often than not
        x = place(x, 0.0, float(rng.uniform(0.0, 0.5)))
    elif stem != "bass":
        x = place(x, float(np.clip(rng.normal(0, 0.1), -0.6, 0.6)), float(rng.uniform(0.6, 1.4)))
    elif rng.random() < 0.8:
        x = place(x, 0.0, 0.0)
    return levelled(x)


def _telephone(x: Sound, rng: Generator) -> Sound:
    return filtered(x, biquad("high", float(rng.uniform(300, 500))), biquad("low", float(rng.uniform(2_500, 4_500))))


def mix_down(stems: Sound, rng: Generator) -> Sound:
    """Balance ``[4, 2, n]`` and limit: one gain for all stems, moving, so that the mixture's peak is at most 0.95."""
    out = stems.copy()
    levels = {stem: float(np.clip(rng.normal(*_LEVELS[stem]), -11, 3)) for stem in STEMS}
    for index, stem in enumerate(STEMS):
        rms = _active_rms(out[index])
        if rms > 0:
            out[index] *= np.float32(0.1 * 10 ** (levels[stem] / 20) / rms)
    mixture = out.sum(0)
    rms = _active_rms(mixture)
    if rms == 0:
        return out
    loud = 10 ** (float(rng.uniform(-22, -11)) / 20)
    peak = float(np.max(np.abs(mixture)))
    # At most 8 dB of limiting: more would pump audibly.
    out *= np.float32(min(loud / rms, 2.5 * PEAK / peak))
    return out * _limit(out.sum(0))


def _active_rms(x: Sound) -> float:
    block = 4_800
    count = x.shape[1] // block
    if count == 0:
        return float(np.sqrt(np.mean(x**2)))
    power = np.mean(x[:, : count * block] ** 2, axis=0).reshape(count, block).mean(1)
    loud = power > 0.003 * power.max()
    return float(np.sqrt(power[loud].mean())) if power.max() > 1e-10 else 0.0


def _limit(mixture: Sound) -> Sound:
    """Gain ``[n]`` that keeps ``mixture [2, n]`` below the peak, falling 10 ms ahead and rising smoothly."""
    n = mixture.shape[1]
    blocks = -(-n // _LIMIT_STEP)
    level = np.zeros(blocks * _LIMIT_STEP, np.float32)
    np.max(np.abs(mixture), axis=0, out=level[:n])
    needed = np.minimum(1.0, (PEAK - 0.005) / np.maximum(level.reshape(blocks, _LIMIT_STEP).max(1), 1e-6))
    width = 17
    # The minimum over 2 × the smoothing's width stays below what is needed after smoothing.
    gain = uniform_filter1d(minimum_filter1d(needed, 2 * width + 3, mode="nearest"), width, mode="nearest")
    at = np.arange(blocks) * _LIMIT_STEP + _LIMIT_STEP / 2
    return np.interp(np.arange(n), at, gain).astype(np.float32)
