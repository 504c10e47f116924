"""Microphone or line-in to a server, its mix to a loudspeaker. Knows devices and one session; what is said is printed.

The faders stand on the server: only the mix travels back.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.python.begin import connect
from clients.python.errors import ClientError
from clients.python.faders import HELP, Faders
from clients.python.session import Session
from clients.python.speaker import Speaker

BLOCK = 0.02  # seconds


@dataclass(frozen=True)
class LiveOptions:
    """``input`` and ``output``: name, part of a name or number of a device; None for the default ones."""

    url: str
    input: str | None = None
    output: str | None = None
    rate: int = 48_000
    channels: int = 2
    format: str = "s16le"
    lookahead: int = 0
    render: str = "mask"
    token: str | None = None


async def play_live(options: LiveOptions, faders: Faders, say: Callable[[str], None]) -> None:
    """Until Ctrl-C, SIGTERM or ``quit``. Raises ClientError when server or devices cannot be had."""
    sound = portaudio()
    speaker = Speaker(options.rate, options.channels)
    heard: asyncio.Queue[NDArray[np.float32]] = asyncio.Queue()
    session = await connect(
        options.url,
        options.rate,
        options.channels,
        stems=("mix",),
        format=options.format,
        lookahead=options.lookahead,
        render=options.render,
        token=options.token,
        name="live",
        notice=say,
    )
    async with session:
        await session.set(**faders.changes())
        with _devices(sound, options, speaker, heard):
            say(f"{faders}. {HELP}")
            await _until_stopped(session, speaker, heard, faders, say)
    skipped = 1_000 * speaker.skipped // options.rate
    say(
        f"{speaker.underruns} gaps, {skipped} ms skipped, {session.reconnects} reconnects, {session.lost} samples lost."
    )


async def _until_stopped(
    session: Session,
    speaker: Speaker,
    heard: asyncio.Queue[NDArray[np.float32]],
    faders: Faders,
    say: Callable[[str], None],
) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    async def send() -> None:
        while True:
            await session.send(await heard.get())

    async def listen() -> None:
        async for block in session:
            speaker.push(block.stems["mix"], block.missing)

    async def obey() -> None:
        async for line in _lines():
            if line.strip().lower() in ("quit", "q", "exit"):
                stop.set()
            elif line.strip():
                try:
                    faders.order(line)
                except ClientError as error:
                    say(str(error))
                else:
                    await session.set(**faders.changes())
                    say(str(faders))

    tasks = [asyncio.create_task(task) for task in (send(), listen(), stop.wait())]
    obeying = asyncio.create_task(obey())
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        for task in (*tasks, obeying):
            task.cancel()
        await asyncio.gather(*tasks, obeying, return_exceptions=True)


@contextlib.contextmanager
def _devices(sound: Any, options: LiveOptions, speaker: Speaker, heard: asyncio.Queue[NDArray[np.float32]]) -> Any:
    """Both streams, running."""
    loop = asyncio.get_running_loop()

    def capture(data: Any, count: int, times: Any, status: Any) -> None:  # copies: the next call writes there again
        loop.call_soon_threadsafe(heard.put_nowait, np.array(data.T, np.float32, order="C"))

    def play(out: Any, count: int, times: Any, status: Any) -> None:
        out[:] = speaker.pull(count)

    common = {
        "samplerate": options.rate,
        "channels": options.channels,
        "dtype": "float32",
        "blocksize": round(BLOCK * options.rate),
        "latency": "low",
    }
    with contextlib.ExitStack() as stack:
        for direction, name, kind, callback in (
            ("input", options.input, sound.InputStream, capture),
            ("output", options.output, sound.OutputStream, play),
        ):
            device = int(name) if name is not None and name.isdecimal() else name
            try:
                stack.enter_context(kind(device=device, callback=callback, **common))
            except (sound.PortAudioError, ValueError) as error:
                what = "the default device" if name is None else f"'{name}'"
                hint = "`python -m sounddevice` lists what there is"
                raise ClientError(f"{direction}: {what} cannot be opened: {error}; {hint}.") from error
        yield


async def _lines() -> AsyncIterator[str]:
    """Lines of stdin, from a thread that nobody waits for."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(RuntimeError, ValueError):  # the loop or stdin is closed
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield await lines.get()


def portaudio() -> Any:
    """The module sounddevice. Raises ClientError when it or PortAudio is missing."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise ClientError(f"live sound needs PortAudio (Debian: libportaudio2): {error}.") from error
    return sounddevice
