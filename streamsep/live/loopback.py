"""The true round trip: a sweep out of the output, into the input. Knows sound and correlation; opens no device itself.

Twice: from output straight to input, then through the model's path (fed with the sweep in place of the input).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE
from streamsep.errors import DeviceError
from streamsep.live.core import Core, Format, ModelOptions
from streamsep.live.gains import Gains
from streamsep.live.plan import DeviceOptions
from streamsep.live.streams import Streams

Sound = NDArray[np.float32]
_QUIET, _SWEEP, _TAIL = 1.0, 0.25, 2.0  # seconds
_SURE = 0.3  # correlation, 0 … 1, from which on the sweep is there


@dataclass(frozen=True)
class RoundTrip:
    """Samples at 48 kHz. ``computed``: the devices' buffers as the system states them, and the model's path."""

    device: int
    model: int
    total: int
    computed: int


class Probe:
    """Stands between devices and core: plays a sweep, records the input. ``through``: by way of the core."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.through = False
        self.restart()

    def restart(self) -> None:
        self.heard: list[Sound] = []
        self._fed = self._played = 0
        self._heard_at = self._played_at = 0.0  # the first of each

    @property
    def seconds(self) -> float:
        return sum(len(block) for block in self.heard) / self._core.format.in_rate

    @property
    def late(self) -> int:
        """Samples at 48 kHz by which playing began after hearing: of two streams, one starts before the other."""
        if self.through or self.format.one_clock:
            return 0
        return round((self._played_at - self._heard_at) * SAMPLE_RATE)

    @property
    def format(self) -> Format:
        return self._core.format

    @property
    def callbacks(self) -> tuple[int, int]:
        return self._core.callbacks

    def open(self, format: Format) -> None:
        self._core.open(format)
        self.restart()

    def slip(self, now: float) -> None:
        self._core.slip(now)

    def capture(self, block: Sound, now: float) -> None:
        if not self.heard:
            self._heard_at = now
        self.heard.append(block[:, self.format.in_channels[0]].copy())
        part = sweep(self.format.in_rate, self._fed, len(block)) if self.through else np.zeros(len(block), np.float32)
        self._fed += len(block)
        self._core.capture(np.repeat(part[:, None], max(self.format.in_channels) + 1, axis=1), now)

    def play(self, count: int, now: float) -> Sound:
        out = self._core.play(count, now)
        if not self.through and self.heard:  # not before: the sweep would lie before what is heard
            if not self._played:
                self._played_at = now
            part = sweep(self.format.out_rate, self._played, count)
            out[:, list(self.format.out_channels)] = part[:, None]
            self._played += count
        return out


def measure(input: str | None, output: str | None, settings: dict[str, Any]) -> RoundTrip:
    """Open the devices and measure. Raises DeviceError when the sweep does not come back."""
    options = ModelOptions(
        settings["model"], settings["device"], settings["decode"], settings["lookahead"], settings["threads"],
        settings["margin"], spare=False,
    )  # fmt: skip
    chosen = DeviceOptions(
        input, output, settings["in_channels"], settings["out_channels"], settings["block"], settings["duplex"]
    )
    with Core(options, Gains("all")) as core:
        core.start()
        probe = Probe(core)
        streams = Streams(probe, chosen)
        try:
            streams.open()
            device = _listen(probe)
            probe.through = True
            probe.restart()
            total = _listen(probe)
            computed = round(streams.device_latency * SAMPLE_RATE) + core.latency
        finally:
            streams.close()
    return RoundTrip(device, total - device, total, computed)


def _listen(probe: Probe) -> int:
    deadline = time.monotonic() + 10
    while probe.seconds < _QUIET + _SWEEP + _TAIL:
        if time.monotonic() > deadline:
            raise DeviceError("the input gives no sound at all; choose another device (streamsep devices).")
        time.sleep(0.05)
    return delay_of(np.concatenate(probe.heard), probe.format.in_rate) - probe.late


def sweep(rate: int, start: int, count: int) -> Sound:
    """Samples ``start …`` of a second of silence, a quarter of a second of sweep, then silence."""
    time = np.arange(start, start + count) / rate - _QUIET
    inside = (time >= 0) & (time < _SWEEP)
    phase = 2 * np.pi * (200 * time + (6_000 - 200) * time**2 / (2 * _SWEEP))
    window = np.sin(np.pi * np.clip(time / _SWEEP, 0, 1)) ** 2
    return np.where(inside, 0.3 * window * np.sin(phase), 0).astype(np.float32)


def delay_of(heard: Sound, rate: int) -> int:
    """Samples at 48 kHz by which ``heard`` [n] lies behind ``sweep``. Raises DeviceError when it is not in there."""
    length = len(heard)
    size = 1 << (2 * length - 1).bit_length()
    wanted = sweep(rate, 0, length)
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size)), size)[:length]
    peak = int(np.argmax(np.abs(product)))
    there = heard[peak + round(_QUIET * rate) : peak + round((_QUIET + _SWEEP) * rate)]
    size_of_both = float(np.linalg.norm(wanted) * np.linalg.norm(there)) + 1e-9
    if np.abs(there).max(initial=0) < 1e-4 or np.abs(product[peak]) < _SURE * size_of_both:
        raise DeviceError("the sweep did not come back; connect the output to the input with a cable, and turn it up.")
    return round(peak * SAMPLE_RATE / rate)
