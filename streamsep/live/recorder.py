"""Writes what is heard, mixture and stems aligned, while it is heard. Knows rings and files; never stops the sound.

Files grow as FLAC (24 bits, 48 kHz) under their final names and are handed to the system every second: after a kill,
all but the last two seconds can be read. Where the model gave nothing, stems are silent.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from streamsep.audio.pcm import encode
from streamsep.audio.sink import FileSink, reason
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.errors import OutputError
from streamsep.live.ring import Ring
from streamsep.live.worker import CHANNELS

Sound = NDArray[np.float32]
_STEP = SAMPLE_RATE // 5  # samples written at a time
_BEHIND = SAMPLE_RATE * 5 // 4  # samples behind the input: the most that the model may be, and its latency
_BITS = "24"


class Recorder:
    """Records from ``start`` to ``stop`` into a new folder in ``directory``, named by the time.

    ``tell`` gets one line when the recording ends early, which ``broken`` keeps, and one when it first has a hole.
    Raises OutputError when the folder cannot be written.
    """

    def __init__(self, directory: Path, source: Ring, results: Ring, tell: Callable[[str], None]) -> None:
        self._source, self._results, self._tell = source, results, tell
        self._position = source.end
        self._ending = threading.Event()
        self._files: dict[str, tuple[soundfile.SoundFile, FileSink]] = {}
        self.folder = _new_folder(directory)
        self.running = True
        self.broken: str | None = None  # why it ended early
        self.holes = 0  # blocks that were gone before they could be written
        try:
            for name in ("mixture", *STEMS):
                sink = FileSink(self.folder / f"{name}.flac")
                file = soundfile.SoundFile(sink, "w", SAMPLE_RATE, CHANNELS, "PCM_24", format="FLAC")  # pyright: ignore[reportArgumentType]
                self._files[name] = (file, sink)
        except (OSError, soundfile.SoundFileError) as error:
            self._close()
            raise OutputError(f"'{self.folder}' cannot be written: {reason(error)}.") from error
        self._thread = threading.Thread(target=self._run, name="streamsep-recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and close the files."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        flushed = time.monotonic()
        try:
            while not self._ending.wait(0.1):
                while self._source.end - self._position >= _BEHIND + _STEP:
                    self._write(_STEP)
                if time.monotonic() - flushed > 1:
                    flushed = time.monotonic()
                    for name, (_, sink) in self._files.items():
                        sink.flush()
                        self._check(name)
            while self._source.end > self._position:
                self._write(min(_STEP, self._source.end - self._position))
            self._close()
            for name in self._files:  # the disk may be full only when the last of it is written
                self._check(name)
        except OutputError as error:
            self.broken = str(error)
            self._tell(self.broken)
        finally:
            self._close()

    def _write(self, count: int) -> None:
        start, self._position = self._position, self._position + count
        holes = self.holes
        mixture, stems = self._read(self._source, start, count), self._read(self._results, start, count)
        self._append("mixture", mixture)
        for index, stem in enumerate(STEMS):
            self._append(stem, stems[index * CHANNELS : (index + 1) * CHANNELS])
        if self.holes > holes == 0:
            self._tell(f"the recording '{self.folder}' has a hole: it was written too slowly; use a faster disk.")

    def _read(self, ring: Ring, start: int, count: int) -> Sound:
        """Zeros where ``ring`` has nothing."""
        out = np.zeros((ring.channels, count), np.float32)
        first, last = max(start, ring.begin), min(start + count, ring.end)
        if last <= first:
            return out
        block = ring.read(first, last - first)
        if block is None:
            self.holes += 1
        else:
            out[:, first - start : last - start] = block
        return out

    def _append(self, name: str, block: Sound) -> None:
        file, _ = self._files[name]
        with contextlib.suppress(soundfile.SoundFileError, AssertionError):  # the sink knows the cause
            file.write(encode(block, _BITS))
        self._check(name)

    def _check(self, name: str) -> None:
        sink = self._files[name][1]
        if sink.error is not None:
            raise OutputError(
                f"the recording '{self.folder}' ends here: {reason(sink.error)}; what was written stays, "
                "and the sound goes on."
            )

    def _close(self) -> None:
        self.running = False
        for file, sink in self._files.values():
            with contextlib.suppress(soundfile.SoundFileError, AssertionError):
                file.close()
            sink.close()


def _new_folder(directory: Path) -> Path:
    name = time.strftime("%Y-%m-%d_%H-%M-%S")
    for number in range(1, 100):
        folder = directory / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if directory.is_dir():
                continue
            raise OutputError(f"'{directory}' is a file, not a folder; name another one to record to.") from None
        except OSError as error:
            raise OutputError(f"'{directory}' cannot be written: {reason(error)}.") from error
        return folder
    raise OutputError(f"'{directory}' is full of recordings of this second; choose another folder.")
