"""Teachers: what the semantic tokens are asked to describe. Knows columns; knows nothing of quantizers.

A teacher turns a stem's columns into features. The first 240 are always the log envelopes, because masks are made from
them; a teacher may append what it likes (a HuBERT teacher its hidden states), and the tokens learn to carry that too.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from streamsep.codec.envelope import ENVELOPE_FEATURES, FLOOR, column_power, log_envelopes
from streamsep.config import BINS, ENVELOPES, SUBFRAMES
from streamsep.streaming import State, StreamModule

_VOICE_BINS = 160  # up to 4 kHz
_SHORTEST_LAG, _LONGEST_LAG = 16, 101  # at 8 kHz: pitches from 500 down to 80 Hz


class Teacher(Protocol):
    """Features of stems, causal; ``step`` returns what ``forward`` returns for that frame."""

    features_dim: int  # at least 240: the log envelopes come first

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State: ...

    def __call__(self, spectrum: Tensor, level: Tensor) -> Tensor:
        """``spectrum`` [B, T, ..., 2, 2, 961] complex, ``level`` [B, T, ...] → [B, T, ..., features_dim] float32."""
        ...

    def step(self, spectrum: Tensor, level: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """``spectrum`` [B, 2, 2, 961] complex, ``level`` [B] → [B, features_dim] float32."""
        ...


def harmonicity(spectrum: Tensor, level: Tensor) -> Tensor:
    """How periodic each column is below 4 kHz, at pitches from 80 to 500 Hz.

    The peak of the autocorrelation of the magnitude spectrum over its value at lag 0. Magnitudes instead of powers
    flatten the spectrum, so that one strong low partial does not decide (Tolonen and Karjalainen, "A computationally
    efficient multipitch analysis model", IEEE Trans. Speech and Audio Processing 8(6), 2000).

    Args:
        spectrum: [..., 2 sides, 2 subframes, 961] complex.
        level: [...], mean square of the mixture; 60 dB below it nothing counts as periodic.

    Returns [..., 2 subframes] in 0 … 1.
    """
    low = (column_power(spectrum[..., :_VOICE_BINS]) + 1e-20).sqrt()
    correlation = torch.fft.irfft(low, 2 * (_VOICE_BINS - 1))
    quiet = 1e-3 * (level * BINS).sqrt()[..., None]
    peak = correlation[..., _SHORTEST_LAG:_LONGEST_LAG].amax(-1)
    return (peak / (correlation[..., 0] + quiet)).clamp(0.0, 1.0)


class EnvelopeTeacher(StreamModule):
    """240 log envelopes, onset and voicing of each subframe: 244 features. No parameters."""

    features_dim = ENVELOPE_FEATURES + 2 * SUBFRAMES

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("last", ENVELOPES, device=device, fresh=FLOOR)
        return state

    def forward(self, spectrum: Tensor, level: Tensor) -> Tensor:
        """``spectrum`` [B, T, ..., 2, 2, 961] complex, ``level`` [B, T, ...] → [B, T, ..., 244] float32."""
        env = log_envelopes(spectrum, level)
        last = torch.full_like(env[..., -ENVELOPES:], FLOOR)
        last[:, 1:] = env[:, :-1, ..., -ENVELOPES:]
        return self._join(env, last, spectrum, level)

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, spectrum: Tensor, level: Tensor, state: State, active: Tensor | None = None
    ) -> Tensor:
        """``spectrum`` [B, 2, 2, 961] complex, ``level`` [B] → [B, 244] float32."""
        env = log_envelopes(spectrum, level)
        features = self._join(env, state["last"], spectrum, level)
        state.put("last", env[..., -ENVELOPES:], active)
        return features

    def _join(self, env: Tensor, last: Tensor, spectrum: Tensor, level: Tensor) -> Tensor:
        """Onset is the mean rise, over bands, against the column before."""
        first, second = env.split(ENVELOPES, -1)
        onset = torch.stack([F.relu(first - last).mean(-1), F.relu(second - first).mean(-1)], -1)
        return torch.cat([env, onset, harmonicity(spectrum, level)], -1)
