"""``streamsep live`` once its options are known: the loop that shows, logs and listens to keys."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from streamsep.config import SAMPLE_RATE
from streamsep.engine.pauses import settle
from streamsep.errors import OptionError
from streamsep.live.gains import Gains
from streamsep.live.keys import Desk, Keyboard
from streamsep.live.report import JsonLog, plain_line
from streamsep.live.screen import Screen
from streamsep.live.separator import LiveSeparator

# Options that a measurement does not need.
_OTHER = ("preset", "record", "osc", "midi", "midi_cc", "midi_later", "spare")
_PICTURE = 0.1  # seconds between two pictures
_SWITCH = 0.0005  # seconds that a thread which draws may hold up the audio callbacks


@dataclass(frozen=True)
class Show:
    """How to show it: one line a second instead of the screen, a log, an end."""

    plain: bool = False
    log: Path | None = None
    seconds: float | None = None


def play(
    input: str | None, output: str | None, settings: dict[str, Any], turn: Callable[[Gains], None], show: Show
) -> list[str] | None:
    """Live until q, Ctrl-C or ``show.seconds``. Returns devices and faders as arguments when it should be started
    anew.
    """
    if show.seconds is not None and show.seconds <= 0:
        raise OptionError(f"--seconds {show.seconds:g} leaves nothing to hear; give more than 0.")
    messages: deque[str] = deque()
    console = Console(highlight=False)
    log = JsonLog(show.log) if show.log else None
    with contextlib.ExitStack() as stack:
        stack.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(_SWITCH)
        if log:
            stack.callback(log.close)
        screen = not show.plain and console.is_terminal and not console.is_dumb_terminal
        separator = LiveSeparator(input, output, **settings, tell=messages.append)
        stack.callback(_say_the_rest, separator, messages, log, screen)  # once the separator is closed
        turn(separator.gains)
        print("streamsep: loading the model ...", file=sys.stderr)
        live = stack.enter_context(separator)
        settle()  # the callbacks run in this process
        route = f"{live.streams.plan.input.name} → {live.streams.plan.output.name}"
        print(f"streamsep: live, {route}; Ctrl-C ends.", file=sys.stderr)
        loop = _screen if screen else _plain
        with contextlib.suppress(KeyboardInterrupt):
            loop(live, route, console, messages, log, show.seconds)
        again = live.restart
        return None if again is None else [f"--in={again.input}", f"--out={again.output}", *faders(live.gains)]


def _plain(
    live: LiveSeparator, route: str, console: Console, messages: deque[str], log: JsonLog | None, seconds: float | None
) -> None:
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        ended = live.wait(1.0 if end is None else max(0.0, min(1.0, end - time.monotonic())))
        for line in _take(messages, log):
            print(f"streamsep: {line}", file=sys.stderr, flush=True)
        now = live.snapshot()
        if log:
            log.snapshot(now)
        print(plain_line(now), flush=True)
        if ended:
            return


def _screen(
    live: LiveSeparator, route: str, console: Console, messages: deque[str], log: JsonLog | None, seconds: float | None
) -> None:
    end = None if seconds is None else time.monotonic() + seconds
    screen, desk, logged = Screen(route, live.gains), Desk(live.gains), 0.0
    with Keyboard() as keyboard, Live(console=console, auto_refresh=False, transient=True) as picture:
        while end is None or time.monotonic() < end:
            ended = live.wait(_PICTURE)
            for line in _take(messages, log):
                screen.say(line)
            if ended or not all([desk.press(key) for key in keyboard.read()]):
                return
            now = live.snapshot()
            if log and now.seconds - logged >= 1:
                logged = now.seconds
                log.snapshot(now)
            picture.update(screen.draw(now, desk.selected), refresh=True)


def _say_the_rest(live: LiveSeparator, messages: deque[str], log: JsonLog | None, screen: bool) -> None:
    """What was said while all ended; and again that the recording broke off, if only a screen that is gone told it."""
    lines = _take(messages, log)
    if screen and live.broken and live.broken not in lines:
        lines.append(live.broken)
    for line in lines:
        print(f"streamsep: {line}", file=sys.stderr, flush=True)


def faders(gains: Gains) -> list[str]:
    """The arguments of ``streamsep live`` that set them."""
    given = [f"--gain={stem}={db:g}" for stem, db in gains.gain.items()]
    for name, on in (("mute", gains.mute), ("solo", gains.solo)):
        given.append(f"--{name}={','.join(stem for stem in on if on[stem])}")
    return [*given, f"--dry-wet={gains.dry_wet:g}"]


def _take(messages: deque[str], log: JsonLog | None) -> list[str]:
    lines = []
    while messages:
        lines.append(messages.popleft())
        if log:
            log.event(lines[-1])
    return lines


def loopback(input: str | None, output: str | None, settings: dict[str, Any]) -> None:
    """Measure and print the round trip."""
    from streamsep.live.loopback import measure

    settings = {name: value for name, value in settings.items() if name not in _OTHER}
    found = measure(input, output, settings)
    milli = 1_000 / SAMPLE_RATE
    print(f"device  {found.device * milli:7.1f} ms  measured, from output to input")
    print(f"model   {found.model * milli:7.1f} ms  measured, from input to output")
    print(f"total   {found.total * milli:7.1f} ms  measured")
    print(f"        {found.computed * milli:7.1f} ms  computed: stated buffers, frame, render, lookahead, margin")
