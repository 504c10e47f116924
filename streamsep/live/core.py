"""Live separation between two callbacks: ``capture`` takes what a device hears, ``play`` gives what the other plays.

    capture: channels picked, rate to 48 kHz ─► source ring ─► (model process) ─► results ring
    play:    mixer ─► speed of the two clocks ─► rate of the device

Knows rates, clocks and rings; knows nothing of sound cards: tests call the two with arrays and a time of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.framer import Fifo
from streamsep.audio.resample import ResampleStream
from streamsep.audio.sanitize import ABSURD
from streamsep.config import FRAME, SAMPLE_RATE
from streamsep.live.adapt import DELAY, AdaptiveResampler
from streamsep.live.clock import ClockFilter, Servo
from streamsep.live.gains import Gains
from streamsep.live.mixer import FADE, Mixer
from streamsep.live.ring import Ring
from streamsep.live.status import Status
from streamsep.live.supervisor import Supervisor
from streamsep.live.worker import CHANNELS, WIDTH, WorkerSpec

Sound = NDArray[np.float32]
_HISTORY = 1 << 18  # samples of the source ring: 5.5 s
_RESULTS = 1 << 18
_RESYNC = 2 * FRAME  # averaged distance at which creeping would take too long: the playhead jumps
_SLIP = FRAME // 4  # the same, soon after a device has lost sound: that was heard anyway
_SOON = 5.0  # seconds
_MAX_LEVEL = np.float32(ABSURD)


@dataclass(frozen=True)
class ModelOptions:
    """``margin``: milliseconds that a frame may take to compute before the sound has a gap. ``spare``: keep a second
    model process loaded, to take over when the first one dies.
    """

    model: str = "tiny"
    device: str = "cpu"
    decode: str = "fused"
    lookahead: int = 0
    threads: int = 1
    margin: float = 25.0
    spare: bool = True


@dataclass(frozen=True)
class Format:
    """What a device gives and takes. Channels are counted from 0; an input has one or two, an output any number."""

    in_rate: int = SAMPLE_RATE
    out_rate: int = SAMPLE_RATE
    in_channels: tuple[int, ...] = (0, 1)
    out_channels: tuple[int, ...] = (0, 1)
    block: int = 960  # samples of a callback at ``out_rate``; a callback of the input lasts as long
    one_clock: bool = True  # input and output are one device


@dataclass
class _Side:
    """What belongs to the devices that are open now."""

    format: Format
    into: ResampleStream
    back: ResampleStream
    adapt: AdaptiveResampler
    servo: Servo = field(default_factory=Servo)
    heard: ClockFilter = field(default_factory=ClockFilter)
    waiting: Fifo = field(default_factory=lambda: Fifo(CHANNELS))
    captures: int = 0
    plays: int = 0
    starts: int = 0  # of the mixer, when last looked at
    slipped: float = -math.inf  # when a device last lost sound


class Core:
    """Rings, model process, mixer. Use as a context manager; ``open`` before the first callback.

    ``capture`` and ``play`` may be called from two threads; neither waits, opens or allocates anything that lasts.
    """

    def __init__(self, options: ModelOptions, gains: Gains) -> None:
        self.options, self.gains = options, gains
        self.source = Ring.create(CHANNELS, _HISTORY)
        self.results = Ring.create(WIDTH, _RESULTS)
        self.status = Status.create()
        spec = WorkerSpec(
            model=options.model,
            device=options.device,
            decode=options.decode,
            lookahead=options.lookahead,
            threads=options.threads,
            source=self.source.name,
            source_capacity=_HISTORY,
            results=self.results.name,
            results_capacity=_RESULTS,
            status=self.status.name,
        )
        self.supervisor = Supervisor(spec, self.source, self.status, options.spare)
        self.mixer = Mixer(self.source, self.results, gains, 0)
        self.margin = options.margin
        self._side = _make_side(Format())
        self._closed = False

    def start(self, seconds: float = 120.0) -> None:
        """Load the model. Raises StreamsepError when that fails or takes longer than ``seconds``."""
        self.supervisor.start()
        self.supervisor.wait_ready(seconds)

    def open(self, format: Format) -> None:
        """Devices of this format are about to call. Also after they were lost."""
        self._side = _make_side(format)
        self.mixer.begin(self.wanted_delay(format))

    @property
    def format(self) -> Format:
        return self._side.format

    def wanted_delay(self, format: Format) -> int:
        """Samples at 48 kHz between input and output, their devices' own buffers not counted."""
        blocks = _block(format) if format.one_clock else 2 * _block(format)
        back = ResampleStream(SAMPLE_RATE, format.out_rate, CHANNELS).delay  # heard ahead by `play`
        return self.status.get("latency") + round(self.margin * SAMPLE_RATE / 1_000) + FADE + blocks + back

    @property
    def latency(self) -> int:
        """Samples at 48 kHz from ``capture`` to ``play``, resamplers included."""
        side = self._side
        return self.mixer.delay + side.into.delay * SAMPLE_RATE // side.format.in_rate + DELAY

    @property
    def correction(self) -> float:
        """How much faster than its own clock the output plays, as a fraction."""
        return self._side.servo.correction

    @property
    def callbacks(self) -> tuple[int, int]:
        """Captures and plays since ``open``."""
        return self._side.captures, self._side.plays

    def capture(self, block: Sound, now: float) -> None:
        """``block`` [n, device channels] float32, heard by ``now`` (seconds of any steady clock)."""
        side = self._side
        picked = [min(channel, block.shape[1] - 1) for channel in side.format.in_channels]
        sound = np.ascontiguousarray(block[:, picked if len(picked) == 2 else picked * 2].T)
        with np.errstate(invalid="ignore"):
            good = np.abs(sound) < _MAX_LEVEL
        if not good.all():
            sound = np.where(good, sound, np.float32(0))
        self.source.write(side.into.push(sound))
        side.heard.update(now, self.source.end)
        side.captures += 1

    def play(self, count: int, now: float) -> Sound:
        """``[count, channels of the output]`` float32, channels up to the highest of ``out_channels``."""
        side = self._side
        speed = self._speed(side, count, now)
        while len(side.waiting) < count:
            need = _inputs_for(side.back, count - len(side.waiting))
            side.waiting.push(side.back.push(side.adapt.pull(need, speed, self.mixer.pull) if need else _NOTHING))
        sound = side.waiting.pop(count)
        self.status.set("playhead", self.mixer.playhead)
        side.plays += 1
        return _spread(sound, side.format.out_channels)

    def slip(self, now: float) -> None:
        """A device has lost or repeated sound: what waits between input and output may be more or less by now."""
        self._side.slipped = now

    def close(self) -> None:
        """End the model process and give the memory back. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self.supervisor.stop()
        for part in (self.source, self.results, self.status):
            part.close()

    def __enter__(self) -> Core:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _speed(self, side: _Side, count: int, now: float) -> float:
        if side.format.one_clock or not side.captures:
            return 1.0
        if self.mixer.starts != side.starts:
            side.starts = self.mixer.starts
            side.servo.restart()
        if not self.mixer.playing:  # the input runs on in the filter alone: its distance means nothing
            return 1.0 + side.servo.correction
        due = self.mixer.playhead + count * SAMPLE_RATE / side.format.out_rate
        correction = side.servo.update(now, side.heard.at(now) - due - self.mixer.delay)
        # Two callbacks lie up to a block apart, and that is no distance to jump.
        limit = _SLIP if now - side.slipped < _SOON else max(_RESYNC, 2 * _block(side.format))
        if abs(side.servo.distance) > limit:
            side.slipped = -math.inf
            self.mixer.resync()
        return 1.0 + correction


_NOTHING = np.zeros((CHANNELS, 0), np.float32)


def _block(format: Format) -> int:
    """Samples at 48 kHz of a callback."""
    return math.ceil(format.block * SAMPLE_RATE / format.out_rate)


def _make_side(format: Format) -> _Side:
    return _Side(
        format,
        ResampleStream(format.in_rate, SAMPLE_RATE, CHANNELS),
        ResampleStream(SAMPLE_RATE, format.out_rate, CHANNELS),
        AdaptiveResampler(CHANNELS),
    )


def _inputs_for(back: ResampleStream, count: int) -> int:
    """How many samples at 48 kHz to push so that about ``count`` come out; called again while some are missing."""
    return max(1, math.ceil(count * back.in_rate / back.out_rate))


def _spread(sound: Sound, channels: tuple[int, ...]) -> Sound:
    """``[2, n]`` → ``[n, highest channel + 1]``: left and right to two channels, their mean to one, else silence."""
    out = np.zeros((sound.shape[1], max(channels) + 1), np.float32)
    if len(channels) == 1:
        out[:, channels[0]] = sound.mean(0)
    else:
        out[:, channels[0]], out[:, channels[1]] = sound[0], sound[1]
    return out
