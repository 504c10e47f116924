"""A file through a server: sound out of a file, stems into files. Knows files; the session knows the server."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile

from clients.python.begin import connect
from clients.python.errors import ClientError
from clients.python.session import Session

BLOCK = 0.25  # seconds


async def separate_file(
    song: Path,
    url: str,
    out: Path,
    stems: tuple[str, ...],
    lookahead: int,
    render: str,
    token: str | None,
    overwrite: bool,
    notice: Callable[[str], None],
) -> dict[str, Path]:
    """Stems of ``song`` as 32-bit float wav files in ``out``/<song>. Raises ClientError; then no file stays behind."""
    try:
        sound = soundfile.SoundFile(song)
    except (OSError, soundfile.SoundFileError) as error:
        raise ClientError(f"'{song}' cannot be read: {error}") from error
    with sound:
        if sound.channels > 2:
            raise ClientError(f"'{song}' has {sound.channels} channels; a session has 1 or 2.")
        paths = {stem: out / song.stem / f"{stem}.wav" for stem in stems}
        for path in paths.values():
            if os.path.lexists(path) and not overwrite:
                raise ClientError(f"'{path}' exists already; choose another folder with -o or allow --overwrite.")
        session = await connect(
            url,
            sound.samplerate,
            sound.channels,
            stems=stems,
            lookahead=lookahead,
            render=render,
            live=False,
            token=token,
            name="file",
            notice=notice,
        )
        parts = {stem: path.with_suffix(".part") for stem, path in paths.items()}
        try:
            async with session:
                await _play(sound, session, parts)
            for stem, path in paths.items():
                parts[stem].replace(path)
        except* (OSError, soundfile.SoundFileError) as errors:
            error = _first(errors)
            raise ClientError(f"'{out}' cannot be written: {getattr(error, 'strerror', None) or error}.") from error
        finally:
            for part in parts.values():
                with contextlib.suppress(OSError):
                    part.unlink()
    return paths


async def _play(sound: soundfile.SoundFile, session: Session, paths: dict[str, Path]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_send(sound, session))
        with ExitStack() as stack:
            files: dict[str, soundfile.SoundFile] = {}
            for stem, path in paths.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                file = soundfile.SoundFile(path, "w", sound.samplerate, sound.channels, "FLOAT", format="WAV")
                files[stem] = stack.enter_context(file)
            async for block in session:
                for stem, file in files.items():
                    part = block.stems[stem]
                    if block.missing:
                        part = np.pad(part, ((0, 0), (block.missing, 0)))  # what came later stays where it belongs
                    file.write(np.ascontiguousarray(part.T))


async def _send(sound: soundfile.SoundFile, session: Session) -> None:
    try:
        for block in sound.blocks(round(BLOCK * sound.samplerate), dtype="float32", always_2d=True):
            await session.send(np.ascontiguousarray(block.T, np.float32))
    except soundfile.SoundFileError as error:
        raise ClientError(f"'{sound.name}' cannot be read: {error}") from error
    await session.finish()


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
