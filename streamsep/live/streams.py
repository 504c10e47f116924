"""PortAudio streams between two devices and the core. Knows how to open, watch and close them; knows no stems."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamsep.errors import DeviceError
from streamsep.live.core import Format
from streamsep.live.devices import (
    Device,
    devices_elsewhere,
    find_again,
    forget_portaudio,
    list_devices,
    portaudio,
    rescan,
)
from streamsep.live.plan import DeviceOptions, explain, model_rates, plan
from streamsep.live.priority import audio_thread, starting_audio

Sound = NDArray[np.float32]
_LOST = 1.5  # seconds without a callback after which a device counts as gone
_FIRST = 5.0  # seconds after opening in which sound servers may still be waking up
_CLOSING = 3.0  # seconds that PortAudio has to close streams
_RETRY = 1.0  # seconds between two looks for it
_COMMON = {"dtype": "float32", "latency": "low"}


class Target(Protocol):
    """What the callbacks call: a core, or something that stands before one."""

    @property
    def callbacks(self) -> tuple[int, int]: ...
    def open(self, format: Format) -> None: ...
    def capture(self, block: Sound, now: float) -> None: ...
    def play(self, count: int, now: float) -> Sound: ...
    def slip(self, now: float) -> None: ...


class Streams:
    """Open devices that call ``core``. ``check`` now and then: it notices a device that is gone, and reopens it.

    ``xruns`` counts what PortAudio reports: input lost or output late. ``stuck``: PortAudio does not let go of a server
    that died (JACK), so only another process can go on; ``back``: it could, with these devices.
    """

    def __init__(self, core: Target, options: DeviceOptions) -> None:
        self._core, self._options = core, options
        self._streams: list[Any] = []
        self._seen = (0, 0)
        self._seen_at = self._opened_at = self._tried_at = 0.0
        self.plan = plan(options, model_rates(list_devices()))
        self._threads: set[int] = set()  # that have been made urgent
        self.paused = self.stuck = self._ended = False
        self.back: DeviceOptions | None = None
        self.xruns = 0

    def open(self) -> None:
        """Raises DeviceError when a device is busy, forbidden, or does not do the rate."""
        sound = portaudio()
        format = self.plan.format
        self._core.open(format)
        self._threads.clear()
        try:
            with starting_audio():
                self._streams = self._duplex(sound) if self.plan.duplex else self._pair(sound)
                for stream in self._streams:
                    stream.start()
        except (sound.PortAudioError, ValueError) as error:
            self.close()
            raise DeviceError(explain(str(error), self.plan)) from error
        self._seen, self._seen_at = (0, 0), time.monotonic()
        self._opened_at = self._seen_at
        self.paused = False

    @property
    def device_latency(self) -> float:
        """Seconds that the devices' own buffers hold, as PortAudio says; 0 while none is open."""
        streams, plan = self._streams, self.plan  # another thread may close them meanwhile
        if not streams:
            return 0.0
        return float(sum(streams[0].latency) if plan.duplex else sum(stream.latency for stream in streams))

    @property
    def load(self) -> float:
        """Part of the callbacks' time that they use, the busier one."""
        return max((float(stream.cpu_load) for stream in self._streams), default=0.0)

    def check(self) -> str | None:
        """One line when a device went or came back."""
        now = time.monotonic()
        if self.paused:
            if now - self._tried_at < _RETRY:
                return None
            self._tried_at = now
            return self._wait_for_another() if self.stuck else self._resume()
        seen = self._core.callbacks
        if all(new > old for new, old in zip(seen, self._seen, strict=True)):
            self._seen, self._seen_at = seen, now
        dead = not all(_active(stream) for stream in self._streams)
        if not dead and now - self._seen_at < (_LOST if now - self._opened_at > _FIRST else _FIRST):
            return None
        silent = "input" if seen[0] == self._seen[0] else "output"
        name = (self.plan.input if silent == "input" else self.plan.output).name
        self.close()
        self.paused, self._tried_at = True, now
        return f"paused: the {silent} '{name}' is gone; the sound goes on when it is back."

    def end(self) -> None:
        """Close for good: what ``check`` is about to reopen in another thread stays closed, too."""
        self._ended = True
        self.close()

    def close(self) -> None:
        """A stream that does not let itself be closed makes this ``stuck``."""
        streams, self._streams = self._streams, []
        closing = threading.Thread(target=_close, args=(streams,), name="streamsep-close", daemon=True)
        closing.start()
        closing.join(_CLOSING)
        if closing.is_alive():
            self.stuck = True
            forget_portaudio()

    def _resume(self) -> str | None:
        try:
            rescan()
            devices = model_rates(list_devices())
            self.plan = plan(self._named(devices), devices)
            if not self._ended:
                self.open()
        except DeviceError:
            return None
        if self._ended:
            self.close()
            return None
        return f"resumed: '{self.plan.input.name}' to '{self.plan.output.name}'."

    def _wait_for_another(self) -> str | None:
        """PortAudio waits for a server that is dead, and this process cannot have another PortAudio."""
        if self.back is not None:
            return None
        try:
            devices = devices_elsewhere()
            named = self._named(devices)
            plan(named, devices)
        except DeviceError:
            return None
        self.back = named
        return "the sound server is back; streamsep starts again with the same faders."

    def _named(self, devices: tuple[Device, ...]) -> DeviceOptions:
        """The options with the names that the devices had: an index may mean another one by now, and so may the
        default.
        """
        given, lost = self._options, self.plan
        return replace(
            given,
            input=find_again(lost.input, given.input, "input", devices),
            output=find_again(lost.output, given.output, "output", devices),
        )

    def _duplex(self, sound: Any) -> list[Any]:
        format, (inputs, outputs) = self.plan.format, self._counts()
        return [
            sound.Stream(
                samplerate=format.in_rate,
                blocksize=format.block,
                device=(self.plan.input.index, self.plan.output.index),
                channels=(inputs, outputs),
                callback=self._both,
                **_COMMON,
            )
        ]

    def _pair(self, sound: Any) -> list[Any]:
        format, (inputs, outputs) = self.plan.format, self._counts()
        heard = sound.InputStream(
            samplerate=format.in_rate,
            blocksize=round(format.block * format.in_rate / format.out_rate),
            device=self.plan.input.index,
            channels=inputs,
            callback=self._heard,
            **_COMMON,
        )
        try:
            plays = sound.OutputStream(
                samplerate=format.out_rate,
                blocksize=format.block,
                device=self.plan.output.index,
                channels=outputs,
                callback=self._plays,
                **_COMMON,
            )
        except Exception:
            heard.close(ignore_errors=True)
            raise
        return [heard, plays]

    def _counts(self) -> tuple[int, int]:
        """Channels to open: up to the highest that is used."""
        return max(self.plan.format.in_channels) + 1, max(self.plan.format.out_channels) + 1

    def _both(self, heard: Any, out: Any, count: int, times: Any, status: Any) -> None:
        self._heard(heard, count, times, status)
        self._plays(out, count, times, 0)

    def _heard(self, heard: Any, count: int, times: Any, status: Any) -> None:
        self._urgent()
        if status:
            self._slipped()
        self._core.capture(heard, time.perf_counter())

    def _plays(self, out: Any, count: int, times: Any, status: Any) -> None:
        self._urgent()
        if status:
            self._slipped()
        out[:] = self._core.play(count, time.perf_counter())

    def _slipped(self) -> None:
        self.xruns += 1
        self._core.slip(time.perf_counter())

    def _urgent(self) -> None:
        if threading.get_ident() not in self._threads:
            self._threads.add(threading.get_ident())
            audio_thread()


def _active(stream: Any) -> bool:
    """A stream about which PortAudio knows nothing any more has ended."""
    try:
        return bool(stream.active)
    except portaudio().PortAudioError:
        return False


def _close(streams: list[Any]) -> None:
    for stream in streams:
        with contextlib.suppress(Exception):  # of a device that is gone, PortAudio may say anything
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)
