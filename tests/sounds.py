"""Sounds that tests share. Everything is made here: no test needs a file from elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def tune(seconds: float, rate: int = 44_100, channels: int = 2, seed: int = 0) -> NDArray[np.float32]:
    """``[channels, samples]`` float32: two moving tones, clicks twice a second and a little noise, peak below 0.8."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * rate)
    time = np.arange(samples) / rate
    sound = np.empty((channels, samples))
    for channel in range(channels):
        low = np.sin(2 * np.pi * (110 * time + 2 * np.sin(time + channel)))
        high = np.sin(2 * np.pi * (523 + 20 * channel) * time) * (0.5 + 0.5 * np.sin(3 * time))
        sound[channel] = 0.3 * low + 0.2 * high + 0.01 * rng.standard_normal(samples)
        sound[channel] += 0.2 * rng.standard_normal(samples) * np.exp(-40 * (time % 0.5))
    return np.clip(sound, -0.8, 0.8).astype(np.float32)
