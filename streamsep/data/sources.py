"""Whole sound files as stereo at 48 kHz, and the four stems of a ``.stem.mp4``. Knows files; knows no pool."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from streamsep.audio.blocks import to_stereo
from streamsep.audio.files import open_audio
from streamsep.audio.resample import resample
from streamsep.audio.sanitize import Sanitizer
from streamsep.config import SAMPLE_RATE
from streamsep.errors import AudioError

Sound = NDArray[np.float32]

_BLOCK = 262_144
# Order of the streams in the format of Native Instruments, which MUSDB18 follows; the first is the mixture.
STEM_STREAMS: tuple[str, ...] = ("mixture", "drums", "bass", "other", "vocals")


def read_sound(path: Path, max_seconds: float) -> Sound:
    """``[2, n]`` at 48 kHz; what is no number is silence.

    Raises AudioError when the file cannot be read, has more than two channels or lasts longer than ``max_seconds``.
    """
    with open_audio(path) as reader:
        if reader.channels > 2:
            raise AudioError(f"'{path.name}' has {reader.channels} channels; a stem has one or two: mix it down first.")
        clean = Sanitizer(reader.channels)
        parts: list[Sound] = []
        while (block := reader.read(_BLOCK)).shape[1]:
            parts.append(clean(block))
            _check_length(path, reader.position / reader.rate, max_seconds)
        rate = reader.rate
    return resample(to_stereo(np.concatenate(parts, axis=1)), rate, SAMPLE_RATE)


def read_stem_file(path: Path, max_seconds: float) -> dict[str, Sound]:
    """Stem → ``[2, n]`` at 48 kHz of a five-stream file. Raises AudioError as ``read_sound`` does."""
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            count = len(container.streams.audio)
        if count != len(STEM_STREAMS):
            raise AudioError(f"'{path.name}' has {count} sound streams; a .stem.mp4 has {len(STEM_STREAMS)}.")
        return {stem: _read_stream(path, index, max_seconds) for index, stem in enumerate(STEM_STREAMS) if index}
    except (FFmpegError, OSError, ValueError) as error:
        raise AudioError(f"'{path.name}' is damaged or is no mp4 file; fetch it again.") from error


def _read_stream(path: Path, index: int, max_seconds: float) -> Sound:
    to_wave = av.AudioResampler(format="fltp", layout="stereo")
    clean = Sanitizer(2)
    parts: list[Sound] = []
    rate, samples = SAMPLE_RATE, 0
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.audio[index]
        for frame in container.decode(stream):
            rate = frame.sample_rate
            for wave in to_wave.resample(frame):
                block = np.asarray(wave.to_ndarray(), np.float32)
                parts.append(clean(block))
                samples += block.shape[1]
            _check_length(path, samples / rate, max_seconds)
    if not samples:
        raise AudioError(f"stream {index} of '{path.name}' holds no samples.")
    return resample(np.concatenate(parts, axis=1), rate, SAMPLE_RATE)


def _check_length(path: Path, seconds: float, limit: float) -> None:
    if seconds > limit:
        raise AudioError(f"'{path.name}' is longer than {limit / 60:g} minutes; cut it into songs first.")
