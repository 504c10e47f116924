"""Files through a codec, block by block: encode, decode, both. Knows files and coders; knows no codec's inside."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streamsep.audio.files import AudioReader, open_audio
from streamsep.audio.resample import ResampleStream
from streamsep.audio.sanitize import Sanitizer
from streamsep.audio.writer import AudioWriter
from streamsep.errors import OutputError
from streamsep.transcode.coder import Chunk, Coder, Sound, join, to_layout
from streamsep.transcode.picture import draw
from streamsep.transcode.scores import RunningScores
from streamsep.transcode.tokens import Tokens, read_tokens, write_tokens

PICTURE_SECONDS = 60  # of a sound that the picture shows: more would not fit into constant memory
_CHUNK = 250  # tokens decoded at a time
Step = Callable[[float], None]  # told how many seconds of sound are done


@dataclass(frozen=True)
class RoundtripFiles:
    """What a round trip writes, all below ``folder`` and named after the sound; nothing when None."""

    folder: Path | None
    stem: str
    overwrite: bool = False

    def path(self, suffix: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{self.stem}{suffix}"

    def refuse_existing(self, sound: Path) -> None:
        """Raise OutputError before the work is done, not after: for what is there already, and for ``sound`` itself."""
        for suffix in (".npz", ".png", ".wav"):
            path = self.path(suffix)
            if path is not None and path.resolve() == sound.resolve():
                raise OutputError(f"'{path}' would overwrite the sound itself; choose another folder.")
            if path is not None and path.exists() and not self.overwrite:
                raise OutputError(f"'{path}' exists already; choose another folder or allow --overwrite.")


def encode_file(sound: Path, coder: Coder, codebooks: int | None, step: Step) -> Tokens:
    """Sound → tokens. Raises AudioError for sound that cannot be read, OptionError for what the codec cannot code."""
    with open_audio(sound) as reader:
        channels = coder.coded_channels(reader.channels)
        encoder = coder.encoder(channels, codebooks)
        chunks: list[Chunk] = []
        samples = 0
        for block in sound_blocks(reader, coder.rate, channels):
            samples += block.shape[1]
            chunks.append(encoder.push(block))
            step(samples / coder.rate)
        chunks.append(encoder.flush())
    whole = join(chunks, encoder.format.codebooks)
    return Tokens(encoder.format, samples, whole.codes, whole.levels)


def decode_file(path: Path, coder: Coder, out: Path, bits: str, overwrite: bool, step: Step) -> Tokens:
    """Tokens → a wav or flac file, as long as the sound was. Raises StreamsepError for tokens that do not fit."""
    tokens = read_tokens(path)
    decoder = coder.decoder(tokens.format)
    layout = tokens.format
    kind = out.suffix.removeprefix(".").lower()
    with AudioWriter(out, layout.rate, layout.channels, kind, bits, overwrite) as writer:
        for start in range(0, len(tokens.codes), _CHUNK):
            part = slice(start, start + _CHUNK)
            writer.write(_cut(decoder.push(Chunk(tokens.codes[part], tokens.levels[part])), tokens.samples, writer))
            step(writer.samples / layout.rate)
        writer.write(_cut(decoder.flush(), tokens.samples, writer))
    return tokens


def roundtrip_file(
    sound: Path, coder: Coder, codebooks: int | None, files: RoundtripFiles, step: Step
) -> dict[str, Any]:
    """Encode and decode in one pass; what is left of the sound, as plain values."""
    files.refuse_existing(sound)
    begin = time.perf_counter()
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(open_audio(sound))
        channels = coder.coded_channels(reader.channels)
        encoder = coder.encoder(channels, codebooks)
        decoder = coder.decoder(encoder.format)
        wav = files.path(".wav")
        writer = None
        if wav is not None:
            writer = stack.enter_context(AudioWriter(wav, coder.rate, channels, "wav", "24", files.overwrite))
        pair = _Pair(coder.rate, channels, writer)
        chunks: list[Chunk] = []
        for block in sound_blocks(reader, coder.rate, channels):
            pair.hear(block)
            chunks.append(encoder.push(block))
            pair.take(decoder.push(chunks[-1]))
            step(pair.samples / coder.rate)
        chunks.append(encoder.flush())
        pair.take(decoder.push(chunks[-1]))
        pair.take(decoder.flush())
    spent = time.perf_counter() - begin
    whole = join(chunks, encoder.format.codebooks)
    tokens = Tokens(encoder.format, pair.samples, whole.codes, whole.levels)
    scores = pair.scores.result()
    if files.folder is not None:
        _write_rest(files, tokens, pair, coder.rate, scores)
    return {**summary(sound, tokens), **scores, "real_time_factor": round(spent / max(tokens.seconds, 1e-9), 3)}


def sound_blocks(reader: AudioReader, rate: int, channels: int) -> Iterator[Sound]:
    """The file at ``rate`` in ``channels`` channels, some tenths of a second at a time."""
    resample, clean = ResampleStream(reader.rate, rate, channels), Sanitizer(reader.channels)
    for block in reader.blocks(16_384):
        yield resample.push(to_layout(clean(block), channels))
    yield resample.flush()


def summary(sound: Path, tokens: Tokens) -> dict[str, Any]:
    """The figures of a token stream, as plain values."""
    layout = tokens.format
    return {
        "sound": str(sound),
        "codec": layout.codec,
        "seconds": round(tokens.seconds, 3),
        "channels": layout.channels,
        "tokens": len(tokens.codes),
        "codebooks": layout.codebooks,
        "semantic_codebooks": layout.semantic,
        "bits_per_second": round(layout.bits_per_second, 1),
    }


class _Pair:
    """A sound and its reconstruction, which comes later: lines them up for scores, file and picture."""

    def __init__(self, rate: int, channels: int, writer: AudioWriter | None) -> None:
        self.scores = RunningScores(rate, channels)
        self.samples = 0
        self._writer = writer
        self._waiting = np.zeros((channels, 0), np.float32)
        self._room = PICTURE_SECONDS * rate
        self._before: list[Sound] = []
        self._after: list[Sound] = []

    def hear(self, block: Sound) -> None:
        self.samples += block.shape[1]
        self._waiting = np.concatenate([self._waiting, block], 1)

    def take(self, sound: Sound) -> None:
        """What follows the end of the sound is dropped."""
        count = min(sound.shape[1], self._waiting.shape[1])
        before, after = self._waiting[:, :count], sound[:, :count]
        self._waiting = self._waiting[:, count:]
        self.scores.add(before, after)
        if self._writer is not None:
            self._writer.write(after)
        if self._room > 0:
            self._before.append(before[:, : self._room].copy())
            self._after.append(after[:, : self._room].copy())
            self._room -= self._before[-1].shape[1]

    def excerpt(self) -> tuple[Sound, Sound]:
        return np.concatenate(self._before, 1), np.concatenate(self._after, 1)


def _write_rest(files: RoundtripFiles, tokens: Tokens, pair: _Pair, rate: int, scores: dict[str, Any]) -> None:
    npz, png = files.path(".npz"), files.path(".png")
    assert npz is not None and png is not None
    write_tokens(npz, tokens, files.overwrite)
    layout = tokens.format
    title = f"{files.stem}: {layout.codec}, {layout.codebooks} codebooks, {layout.bits_per_second / 1000:.2f} kbit/s"
    if scores["si_sdr_db"] is not None:
        title += f", SI-SDR {scores['si_sdr_db']:+.1f} dB"
    draw(png, *pair.excerpt(), rate, title)


def _cut(sound: Sound, samples: int, writer: AudioWriter) -> Sound:
    return sound[:, : max(samples - writer.samples, 0)]
