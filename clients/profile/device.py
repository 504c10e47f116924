"""Sound in to sound out of whatever stands between two cables, a ``streamsep live`` for instance. Knows sound devices.

Noise is played. One pair of input channels hears the noise itself, another what came back of it, so both lie on one
time axis, and neither the player's nor the recorder's own buffers count:

    output 1,2 ──┬── input 1,2   (the reference)
                 └── streamsep live ── input 3,4
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import typer

from clients.profile.card import Sound, delay, noise
from clients.python import ClientError
from clients.python.live import portaudio

_MOST = 1.0  # seconds of delay that are looked for
_LIKE = 0.5  # below, it is not the noise that came back


@dataclass(frozen=True)
class DeviceReport:
    """``delay_ms``: median of the seconds of the second half; ``range_ms``: least and most of them; ``xruns``: blocks
    that this program itself lost or was late with.
    """

    what: str
    delay_ms: float
    range_ms: tuple[float, float]
    likeness: float
    seconds: int
    xruns: int

    def text(self) -> str:
        """One line."""
        low, high = self.range_ms
        return (
            f"{self.what}: {self.delay_ms:.2f} ms from sound in to sound out (over {self.seconds} s, {low:.2f} to "
            f"{high:.2f}); likeness {self.likeness:.3f}, {self.xruns} xruns"
        )


def measure(
    device: str | int | None, reference: tuple[int, ...], back: tuple[int, ...], seconds: float, rate: int
) -> DeviceReport:
    """Play ``seconds`` of noise on the first two outputs of ``device``; ``reference`` and ``back`` are input channels,
    from 1. Raises ClientError when the device cannot be had, or when nothing comes back.
    """
    played = noise(seconds, rate)
    heard, xruns = _play(device, played, max(*reference, *back), rate)
    sent, came = (heard[[channel - 1 for channel in channels]] for channels in (reference, back))
    return judge(f"device {device if device is not None else '(default)'}", sent, came, rate, xruns)


def judge(what: str, sent: Sound, came: Sound, rate: int, xruns: int) -> DeviceReport:
    """The delay between two recordings [channels, n], in the second half. Raises ClientError."""
    if not np.abs(sent).max(initial=0) > 1e-4:
        raise ClientError("the reference channels hear nothing; connect the output with them.")
    half, most, found = sent.shape[1] // 2, round(_MOST * rate), []
    for start in range(half, sent.shape[1] - rate - most + 1, rate):
        found.append(delay(sent[:, start : start + rate], came[:, start : start + rate + most], most))
    good = [one.samples for one in found if one.likeness > _LIKE]
    if 2 * len(good) <= len(found):
        raise ClientError("the noise did not come back; connect streamsep between output and input, and turn it up.")
    times = [1_000 * samples / rate for samples in good]
    return DeviceReport(
        what,
        round(float(np.median(times)), 3),
        (round(min(times), 3), round(max(times), 3)),
        round(float(np.median([one.likeness for one in found])), 4),
        len(good),
        xruns,
    )


class Tape:
    """Plays ``played`` [2, n] and keeps ``heard`` [channels, n] meanwhile; ``xruns``: blocks that were lost or late."""

    def __init__(self, played: Sound, channels: int) -> None:
        self._played, self.heard = played, np.zeros((channels, played.shape[1]), np.float32)
        self._sent = self._came = self.xruns = 0
        self.full = threading.Event()

    def both(self, record: Any, out: Any, count: int, times: object, status: object) -> None:
        self.hear(record, count, times, status)
        self.play(out, count, times, None)

    def hear(self, record: Any, count: int, times: object, status: object) -> None:
        self.xruns += bool(status)
        part = min(count, self.heard.shape[1] - self._came)
        self.heard[:, self._came : self._came + part] = record[:part].T
        self._came += part
        if self._came == self.heard.shape[1]:
            self.full.set()

    def play(self, out: Any, count: int, times: object, status: object) -> None:
        self.xruns += bool(status)
        part = self._played[:, self._sent : self._sent + count]
        out[:] = 0
        out[: part.shape[1]] = part.T
        self._sent += part.shape[1]


def _play(device: str | int | None, played: Sound, channels: int, rate: int) -> tuple[Sound, int]:
    """What ``channels`` inputs heard meanwhile [channels, n], and how often the device was too late."""
    sounddevice = portaudio()
    tape = Tape(played, channels)
    try:
        with contextlib.ExitStack() as open_:
            for stream in _streams(sounddevice, device, tape, channels, rate):
                open_.enter_context(stream)
            if not tape.full.wait(30 + played.shape[1] / rate):
                raise ClientError("the device stands still.")
    except (sounddevice.PortAudioError, ValueError) as error:
        raise ClientError(f"the device cannot be opened: {error}.") from error
    return tape.heard, tape.xruns


def _streams(sounddevice: Any, device: str | int | None, tape: Tape, channels: int, rate: int) -> list[Any]:
    """One stream for both directions, which JACK shows as one program; two on ALSA, whose bridge to PulseAudio stalls
    now and then in one.
    """
    host = sounddevice.query_devices(device, "input")["hostapi"]
    if sounddevice.query_hostapis(host)["name"] != "ALSA":
        return [sounddevice.Stream(rate, 0, device, (channels, 2), "float32", callback=tape.both)]
    return [
        sounddevice.InputStream(rate, 0, device, channels, "float32", callback=tape.hear),
        sounddevice.OutputStream(rate, 0, device, 2, "float32", callback=tape.play),
    ]


def _channels(text: str, option: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise ClientError(f"{option} '{text}' are no channels; give numbers from 1, as in 1,2.")
    return found


def main(
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Index, name or part of it.", show_default="default")
    ] = None,
    reference: Annotated[str, typer.Option(metavar="A,B", help="Inputs that hear what is played.")] = "1,2",
    back: Annotated[str, typer.Option(metavar="A,B", help="Inputs that hear what comes back.")] = "3,4",
    seconds: Annotated[float, typer.Option(metavar="T", help="Seconds of noise, 6 or more.", min=6)] = 12.0,
    rate: Annotated[int, typer.Option(metavar="HZ", help="Sample rate of the device.")] = 48_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Measure the delay of a running `streamsep live` between two cables, by cross-correlation.

    Noise is played on outputs 1 and 2, which lead to the reference inputs and to streamsep; streamsep leads back into
    the other inputs. With sound servers the cables are connections (jack_connect) or the monitor of a sink.

    \b
    Examples:
      streamsep live --preset all &          # in, out: the other ends of the cables
      python -m clients.profile.device --device "USB Audio"
      python -m clients.profile.device --reference 3 --back 4 --seconds 30 --json
    """
    chosen = int(device) if device is not None and device.isdigit() else device
    channels = _channels(reference, "--reference"), _channels(back, "--back")
    found = measure(chosen, *channels, seconds, rate)
    print(json.dumps(asdict(found), indent=2) if as_json else found.text())


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app(prog_name="python -m clients.profile.device")
    except ClientError as error:
        typer.echo(f"streamsep: {error}", err=True)
        raise SystemExit(2) from error
