"""Sample rates, exactly aligned and with a small, constant, known delay. Knows nothing of frames or files.

A polyphase windowed-sinc filter [1]. Sample ``j`` of the output is the sound at time ``j / out_rate``, and it is given
as soon as ``delay`` input samples past that time have been heard: about 1.6 ms at 44.1 kHz. How many samples have come
out depends only on how many went in, never on the block sizes; their values agree to the rounding of float32. (soxr's
streams come in bursts of some 20 ms a direction: half of a whole frame here.)

Pass band to 0.907 of the lower Nyquist frequency (20 kHz of 22.05), stop band of −100 dB from the Nyquist frequency on.

[1] Crochiere, Rabiner: Multirate Digital Signal Processing, 1983, chapter 4; window after Kaiser, 1974.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

ROLLOFF = 0.907  # end of the pass band, as a part of the lower Nyquist frequency
ATTENUATION = 100.0  # dB
_MIN_OUTPUTS = 128  # outputs a matrix row block should have: enough for BLAS to be worth its call
_MAX_PHASES = 1_024  # beyond this (odd rates such as 44,101 Hz) phases are interpolated
_MAX_PERIOD = 1 << 18  # and beyond this many outputs times inputs of a period, whose matrix is nearly all zeros
_TABLE_PHASES = 512  # linear interpolation between this many is exact to −110 dB


def output_length(samples: int, in_rate: int, out_rate: int) -> int:
    """Samples that ``samples`` at ``in_rate`` become at ``out_rate``: the nearest integer, halves upwards."""
    return (2 * samples * out_rate + in_rate) // (2 * in_rate)


class ResampleStream:
    """Stateful resampler of ``[channels, n]`` blocks, any n ≥ 0.

    ``delay`` is how many input samples past its own time an output sample waits for. Equal rates pass through
    untouched, with ``delay`` 0. Raises ValueError for rates below 1 Hz or no channels.
    """

    def __init__(self, in_rate: int, out_rate: int, channels: int) -> None:
        if in_rate < 1 or out_rate < 1 or channels < 1:
            raise ValueError(f"rates and channels must be positive, got {in_rate} → {out_rate} Hz, {channels} channels")
        self.in_rate, self.out_rate, self.channels = in_rate, out_rate, channels
        common = math.gcd(in_rate, out_rate)
        self._up, self._down = out_rate // common, in_rate // common  # outputs and inputs of one period
        self._half = 0 if in_rate == out_rate else _half_width(in_rate, out_rate)
        self.delay = self._half
        self.reset()

    def reset(self) -> None:
        """Forget everything heard, as if newly made."""
        self._heard = 0  # inputs so far, padding of a flush not counted
        self._given = 0  # outputs so far
        # The buffer starts `half` samples before the time of the next output; zeros stand before the beginning.
        self._buffer = np.zeros((self.channels, self._half), np.float32)
        self._start = -self._half  # input index of buffer[:, 0]

    def ready(self, heard: int) -> int:
        """How many outputs have been given once ``heard`` inputs have been pushed (before any flush)."""
        if not self._half:
            return heard
        # Output j stands at input time j·down/up and needs inputs up to floor(that) + half.
        last = heard - 1 - self._half
        return 0 if last < 0 else -(-(last + 1) * self._up // self._down)

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """``block`` [channels, n] → the outputs that can be told by now, ``[channels, m]``, m ≥ 0."""
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"expected a block of shape [{self.channels}, n], got {list(block.shape)}")
        self._heard += block.shape[1]
        if not self._half:
            self._given = self._heard
            return block
        self._buffer = np.concatenate([self._buffer, block], axis=1)
        return self._emit(self.ready(self._heard))

    def flush(self) -> NDArray[np.float32]:
        """The rest ``[channels, m]``, as if silence followed, so that the total is ``output_length(input)``; resets."""
        total = output_length(self._heard, self.in_rate, self.out_rate)
        if not self._half or total <= self._given:
            rest = np.zeros((self.channels, 0), np.float32)
        else:
            self._buffer = np.concatenate([self._buffer, np.zeros((self.channels, self._half + 2), np.float32)], axis=1)
            rest = self._emit(total)
        self.reset()
        return rest

    def _emit(self, until: int) -> NDArray[np.float32]:
        first, count = self._given, until - self._given
        if count <= 0:
            return np.zeros((self.channels, 0), np.float32)
        small = self._up <= _MAX_PHASES and self._up * self._down <= _MAX_PERIOD
        emit = self._emit_periods if small else self._emit_interpolated
        out = emit(first, count)
        self._given = until
        keep = until * self._down // self._up - self._half  # first input that the next output needs
        self._buffer = self._buffer[:, keep - self._start :].copy()
        self._start = keep
        return out

    def _emit_periods(self, first: int, count: int) -> NDArray[np.float32]:
        """Whole periods as one matrix product, with the outputs that were not asked for cut off at both ends."""
        matrix = _period_matrix(self._up, self._down, self._half)  # [taps of a group, outputs of a group]
        outputs = matrix.shape[1]
        inputs = outputs * self._down // self._up
        group, last = first // outputs, (first + count - 1) // outputs
        groups = last - group + 1
        begin = group * inputs - self._half  # input index that the first group's row starts at
        length = (groups - 1) * inputs + matrix.shape[0]
        source = np.zeros((self.channels, length), np.float32)
        shift = self._start - begin  # ≥ 0: inputs before the buffer matter to outputs already given only
        have = min(self._buffer.shape[1], length - shift)
        source[:, shift : shift + have] = self._buffer[:, :have]
        windows = np.lib.stride_tricks.sliding_window_view(source, matrix.shape[0], axis=1)[:, ::inputs]
        flat = (np.ascontiguousarray(windows).reshape(-1, matrix.shape[0]) @ matrix).reshape(self.channels, -1)
        skip = first - group * outputs
        return np.ascontiguousarray(flat[:, skip : skip + count])

    def _emit_interpolated(self, first: int, count: int) -> NDArray[np.float32]:
        """One filter an output, interpolated between the two nearest phases of a table."""
        table = _phase_table(self.in_rate, self.out_rate, self._half)  # [phases + 1, taps]
        time = np.arange(first, first + count, dtype=np.int64) * self._down
        base, phase = time // self._up, (time % self._up) * (_TABLE_PHASES / self._up)
        row = phase.astype(np.int64)
        part = (phase - row).astype(np.float32)[:, None]
        taps = table[row] * (1 - part) + table[row + 1] * part
        windows = np.lib.stride_tricks.sliding_window_view(self._buffer, table.shape[1], axis=1)
        return np.einsum("cmt,mt->cm", windows[:, base - self._half - self._start], taps)


def resample(audio: NDArray[np.float32], in_rate: int, out_rate: int) -> NDArray[np.float32]:
    """``audio`` [channels, samples] → ``[channels, output_length(samples)]``, aligned: no delay."""
    stream = ResampleStream(in_rate, out_rate, audio.shape[0])
    step = 1 << 16
    parts = [stream.push(audio[:, start : start + step]) for start in range(0, audio.shape[1], step)]
    return np.concatenate([*parts, stream.flush()], axis=1)


def _half_width(in_rate: int, out_rate: int) -> int:
    """Input samples on each side that the filter reaches, by Kaiser's rule for its length."""
    transition = (1 - ROLLOFF) * min(in_rate, out_rate) / 2 / in_rate  # as a part of the input rate
    return math.ceil((ATTENUATION - 7.95) / (14.36 * transition) / 2)


def _filter(offset: NDArray[np.float64], ratio: float, half: int) -> NDArray[np.float64]:
    """The low-pass at ``offset`` input samples from its centre; ``ratio`` = out/in rate. Unit gain at DC."""
    cutoff = min(1.0, ratio) * (1 + ROLLOFF) / 2  # the middle of the transition, as a part of the input's Nyquist
    beta = 0.1102 * (ATTENUATION - 8.7)
    inside = np.clip(1 - (offset / (half + 1)) ** 2, 0, None)
    window = np.where(inside > 0, np.i0(beta * np.sqrt(inside)) / np.i0(beta), 0)
    return cutoff * np.sinc(cutoff * offset) * window


@functools.lru_cache(maxsize=16)
def _period_matrix(up: int, down: int, half: int) -> NDArray[np.float32]:
    """``[inputs + 2·half + 1, outputs]``: one group of whole periods, each column the filter of one output."""
    periods = max(1, math.ceil(_MIN_OUTPUTS / up))
    outputs, inputs = periods * up, periods * down
    time = np.arange(outputs)[None, :] * (down / up)
    offset = np.arange(-half, inputs + half + 1)[:, None] - time
    matrix = _filter(offset, up / down, half)
    # Nothing past floor(time) + half may count: that input is not heard yet when the output is due.
    matrix[offset > half - (time - np.floor(time)) + 1e-9] = 0
    return _frozen(matrix / matrix.sum(axis=0, keepdims=True))


@functools.lru_cache(maxsize=16)
def _phase_table(in_rate: int, out_rate: int, half: int) -> NDArray[np.float32]:
    """``[phases + 1, 2·half + 1]``: the filter of an output that stands phase/phases past an input."""
    phase = np.arange(_TABLE_PHASES + 1)[:, None] / _TABLE_PHASES
    table = _filter(np.arange(-half, half + 1)[None, :] - phase, out_rate / in_rate, half)
    return _frozen(table / table.sum(axis=1, keepdims=True))


def _frozen(array: NDArray[np.float64]) -> NDArray[np.float32]:
    """As float32, read-only because it is cached."""
    small = array.astype(np.float32)
    small.flags.writeable = False
    return small
