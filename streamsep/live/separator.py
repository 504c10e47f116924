"""``LiveSeparator``: devices, core, recording and a watchman in one object that a program can use."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil

from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.errors import OptionError
from streamsep.live.core import Core, ModelOptions
from streamsep.live.gains import Gains
from streamsep.live.midi import MidiInput, parse_numbers
from streamsep.live.osc import OscInput
from streamsep.live.plan import DeviceOptions, plan
from streamsep.live.recorder import Recorder
from streamsep.live.remote import Remote
from streamsep.live.streams import Streams
from streamsep.live.watch import Watch

_WATCH = 0.1  # seconds between two looks


@dataclass(frozen=True)
class Snapshot:
    """How it goes. Levels are peaks of the last block, full scale = 1; times are milliseconds."""

    seconds: float
    state: str  # live, dry (no model) or paused (no device)
    input_level: float
    output_level: float
    stem_levels: dict[str, float]
    gains: dict[str, float]  # dB
    latency: float  # from input to output now, device buffers included
    model_p50: float  # age of results: heard by the input past their last sample
    model_p95: float
    model_p99: float
    compute_p50: float  # a frame
    compute_p99: float
    fill: float  # what waits between input and output
    drift_ppm: float
    late: int  # results that came behind the playhead
    hurried: int  # frames that the guide head alone separated, after a late one
    fallbacks: int  # gaps that the mixture filled
    fallback_seconds: float
    underruns: int
    xruns: int
    resyncs: int
    restarts: int
    cpu: float  # percent of one core, model and callbacks
    memory_mb: float
    recording: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: a gain that is off is null."""
        plain = asdict(self)
        plain["gains"] = {stem: None if db == -np.inf else db for stem, db in self.gains.items()}
        return plain


class LiveSeparator:
    """Live separation from an input device to an output device.

    >>> with LiveSeparator(preset="karaoke") as live:
    ...     live.gains.set_gain("vocals", -12)
    ...     live.wait()

    Args:
        input, output: a device's index, name, or part of its name; the default device when None.
        preset: of ``streamsep.live.gains.PRESETS``; all faders can be turned later in ``gains``.
        lookahead: frames of 40 ms heard ahead: -1, 0, 1 or 2.
        block: samples at 48 kHz of a callback.
        margin: milliseconds that a frame may take to compute before the mixture fills the gap.
        in_channels, out_channels: such as "3,4".
        model, device, decode, threads: as in ``streamsep.load``.
        spare: keep a second model process loaded, which takes over when the first one dies.
        record: a folder for recordings.
        osc: a port, or "HOST:PORT", for remote control (``streamsep.live.remote`` has the table).
        midi, midi_cc: part of a MIDI input's name; CC numbers of controls, such as "fader/vocals=21".
        midi_later: start without that MIDI input, too, and listen to it once it is there.
        tell: gets one line for everything worth knowing; standard error when None.

    The model runs in a process of its own, started by ``spawn``: a script that uses this needs the usual
    ``if __name__ == "__main__":``. Entering raises StreamsepError when a device or the model cannot be had; after
    that the sound goes on whatever happens.
    """

    def __init__(
        self,
        input: str | None = None,
        output: str | None = None,
        *,
        preset: str = "karaoke",
        lookahead: int = 0,
        block: int = 960,
        margin: float = 25.0,
        in_channels: str | None = None,
        out_channels: str | None = None,
        duplex: bool | None = None,
        model: str = "tiny",
        device: str = "cpu",
        decode: str = "fused",
        threads: int = 1,
        spare: bool = True,
        record: str | Path | None = None,
        osc: str | int | None = None,
        midi: str | None = None,
        midi_cc: Iterable[str] = (),
        midi_later: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        if not 32 <= block <= 9_600:
            raise OptionError(f"a block of {block} samples is out of range; give 32 to 9600.")
        if not 0 <= margin <= 1_000:
            raise OptionError(f"a margin of {margin:g} ms is out of range; give 0 to 1000.")
        self.gains = Gains(preset)
        self._options = ModelOptions(model, device, decode, lookahead, threads, margin, spare)
        self._devices = DeviceOptions(input, output, in_channels, out_channels, block, duplex)
        self._record = None if record is None else Path(record)
        self._tell = _safely(tell or (lambda line: print(f"streamsep: {line}", file=sys.stderr)))
        midi_cc = list(midi_cc)
        if midi_cc and midi is None:
            raise OptionError("--midi-cc renumbers a control of --midi; name the MIDI input with --midi, too.")
        self._osc = None if osc is None else OscInput(osc, Remote(self.gains), self._tell)
        self._midi = (
            None
            if midi is None
            else MidiInput(midi, Remote(self.gains), self._tell, parse_numbers(midi_cc), patient=midi_later)
        )
        self._remotes = contextlib.ExitStack()
        self._ending = threading.Event()
        self._recorder: Recorder | None = None
        self._began = time.monotonic()
        self._processes: dict[int, psutil.Process] = {}
        self._faults: set[str] = set()  # of the watchman, told already

    def __enter__(self) -> Self:
        plan(self._devices)  # a wrong device is told before the model is loaded
        self.core = Core(self._options, self.gains)
        try:
            for remote in (self._osc, self._midi):
                if remote is not None:
                    self._remotes.enter_context(remote)
            self.core.start()
            self.streams = Streams(self.core, self._devices)
            self.streams.open()
            if self._record is not None:
                self._recorder = Recorder(self._record, self.core.source, self.core.results, self._tell)
                self._recorder.start()
        except BaseException:
            self.close()
            raise
        self._began = time.monotonic()
        self._watchman = threading.Thread(target=self._watch, name="streamsep-watch", daemon=True)
        self._watchman.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the sound, finish the recording, end the model process."""
        self._ending.set()
        if hasattr(self, "_watchman"):
            self._watchman.join(5)
        self._remotes.close()
        if hasattr(self, "streams"):
            self.streams.end()
        if self._recorder is not None:
            self._recorder.stop()
        self.core.close()

    @property
    def restart(self) -> DeviceOptions | None:
        """A JACK server died and is back, and only another process can join it: ``wait`` has returned, start anew, with
        these devices.
        """
        return self.streams.back

    @property
    def broken(self) -> str | None:
        """Why the recording ended early."""
        return None if self._recorder is None else self._recorder.broken

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for ``seconds``, or until ``stop``; True when stopped."""
        return self._ending.wait(seconds)

    def stop(self) -> None:
        """Let ``wait`` return."""
        self._ending.set()

    def snapshot(self) -> Snapshot:
        """How it goes just now."""
        core, mixer, streams = self.core, self.core.mixer, self.streams
        ages = core.status.ages() * 1_000 / SAMPLE_RATE
        times = core.status.times()
        p50, p95, p99 = np.percentile(ages, [50, 95, 99]) if len(ages) else (0.0, 0.0, 0.0)
        compute = np.percentile(times, [50, 99]) if len(times) else (0.0, 0.0)
        cpu, memory = self._usage()
        return Snapshot(
            seconds=time.monotonic() - self._began,
            state="paused" if streams.paused else "live" if core.supervisor.ready else "dry",
            input_level=mixer.levels.mixture,
            output_level=mixer.levels.output,
            stem_levels=dict(zip(STEMS, mixer.levels.stems, strict=True)),
            gains=dict(self.gains.gain),
            latency=1_000 * (core.latency / SAMPLE_RATE + streams.device_latency),
            model_p50=float(p50),
            model_p95=float(p95),
            model_p99=float(p99),
            compute_p50=float(compute[0]),
            compute_p99=float(compute[1]),
            fill=1_000 * mixer.fill / SAMPLE_RATE,
            drift_ppm=1e6 * core.correction,
            late=core.status.get("late"),
            hurried=core.status.get("hurried"),
            fallbacks=mixer.counts.fallbacks,
            fallback_seconds=mixer.counts.fallback_samples / SAMPLE_RATE,
            underruns=mixer.counts.underruns,
            xruns=streams.xruns,
            resyncs=mixer.counts.resyncs,
            restarts=core.supervisor.restarts,
            cpu=cpu,
            memory_mb=memory,
            recording=self._recorder is not None and self._recorder.running,
        )

    def _watch(self) -> None:
        checks = [self.core.supervisor.check, self.streams.check, Watch(self.core).check]
        checks += [] if self._midi is None else [self._midi.check]
        while not self._ending.wait(_WATCH):
            for check in checks:
                line = self._look(check)
                if line:
                    self._tell(line)
            if self.streams.back is not None:
                self.stop()

    def _look(self, check: Callable[[], str | None]) -> str | None:
        """What ``check`` says. One that fails is told once, and looks again: nobody else would revive the sound."""
        try:
            return check()
        except Exception as error:
            fault = f"internal error, {type(error).__name__}: {' '.join(str(error).split())}; the sound goes on."
            told = fault in self._faults
            self._faults.add(fault)
            return None if told else fault

    def _usage(self) -> tuple[float, float]:
        """CPU in percent of a core and resident MB, of this process and the models'."""
        cpu = memory = 0.0
        wanted = [psutil.Process().pid, *self.core.supervisor.pids]
        self._processes = {pid: self._processes[pid] for pid in wanted if pid in self._processes}
        for pid in wanted:
            try:
                process = self._processes.setdefault(pid, psutil.Process(pid))
                cpu += process.cpu_percent()
                memory += process.memory_info().rss / 1e6
            except psutil.Error:
                self._processes.pop(pid, None)
        return cpu, memory


def _safely(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Whoever listens must not end the sound or the recording: what it raises (a pipe that broke) is dropped."""

    def told(line: str) -> None:
        with contextlib.suppress(Exception):
            tell(line)

    return told
