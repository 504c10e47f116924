"""Our causal codec on blocks of sound, one frame of 40 ms after the other, at constant memory.

The codec codes a stem relative to the mixture's level. A file alone is its own mixture: its level, tracked as the
separator does it, goes along as one byte a token.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamsep.audio.blocks import from_stereo, to_stereo
from streamsep.codec.model import Codec
from streamsep.codec.stft import ISTFT, STFT
from streamsep.condition.features import mid_side
from streamsep.condition.level import LevelTracker
from streamsep.config import FRAME, HOP, SAMPLE_RATE
from streamsep.errors import OptionError
from streamsep.model.trunk import frame_power
from streamsep.transcode.coder import Chunk, Sound, join
from streamsep.transcode.tokens import TokenFormat

_LOWEST_DB, _STEP_DB = -90.0, 0.4  # of a level's byte: up to +12 dB
_DELAY = HOP  # samples that overlap-add waits for


def level_byte(level: float) -> int:
    """Mean square → 0 … 255."""
    return min(max(round((10 * math.log10(level) - _LOWEST_DB) / _STEP_DB), 0), 255)


def byte_level(byte: int) -> float:
    """Inverse of :func:`level_byte`, to the middle of its step."""
    return 10 ** ((_LOWEST_DB + _STEP_DB * byte) / 10)


class StreamingCoder:
    """Our codec. ``name`` is the model's; ``codec`` runs on ``device``."""

    rate = SAMPLE_RATE

    def __init__(self, codec: Codec, name: str, device: torch.device | str = "cpu") -> None:
        self.codec, self.name, self.device = codec, name, device

    def coded_channels(self, channels: int) -> int:
        if channels > 2:
            raise OptionError(f"the codec of '{self.name}' codes 1 or 2 channels, not {channels}; mix the file down.")
        return channels

    def encoder(self, channels: int, codebooks: int | None = None) -> StreamEncoder:
        return StreamEncoder(self, self._format(channels, codebooks))

    def decoder(self, format: TokenFormat) -> StreamDecoder:
        if format.fingerprint != self.fingerprint():
            raise OptionError(
                f"the tokens are of '{format.codec}', which is not the codec of '{self.name}'; give theirs as --codec."
            )
        return StreamDecoder(self, format)

    def fingerprint(self) -> str:
        return hashlib.sha256(self.codec.vectors.float().cpu().numpy().tobytes()).hexdigest()[:16]

    def _format(self, channels: int, codebooks: int | None) -> TokenFormat:
        cfg = self.codec.cfg
        books = cfg.codebooks if codebooks is None else codebooks
        if not 1 <= books <= cfg.codebooks:
            raise OptionError(f"the codec of '{self.name}' has 1 to {cfg.codebooks} codebooks, not {books}.")
        return TokenFormat(
            codec=self.name,
            fingerprint=self.fingerprint(),
            rate=SAMPLE_RATE,
            channels=channels,
            token_hop=FRAME,
            entries=cfg.codebook_size,
            codebooks=books,
            semantic=min(books, cfg.semantic_codebooks),
            levels=True,
        )


class StreamEncoder:
    """See ``coder.Encoder``."""

    def __init__(self, coder: StreamingCoder, format: TokenFormat) -> None:
        self.format, self.codec, self.device = format, coder.codec, coder.device
        self.stft, self.level = STFT().to(coder.device), LevelTracker().to(coder.device)
        self._states = [part.init_state(1, coder.device) for part in (self.stft, self.level, self.codec)]
        self._rest = np.zeros((format.channels, 0), np.float32)
        self._heard = self._told = 0

    def push(self, block: Sound) -> Chunk:
        self._heard += block.shape[1]
        sound = np.concatenate([self._rest, block], 1)
        frames = sound.shape[1] // FRAME
        self._rest = sound[:, frames * FRAME :]
        return join([self._frame(sound[:, i * FRAME : (i + 1) * FRAME]) for i in range(frames)], self.format.codebooks)

    def flush(self) -> Chunk:
        """One frame more than the sound has where its end would else be stuck in the overlap-add."""
        frames = -(-(self._heard + _DELAY) // FRAME) if self._heard else 0
        missing = frames * FRAME - self._told * FRAME - self._rest.shape[1]
        return self.push(np.zeros((self.format.channels, missing), np.float32))

    @torch.inference_mode()
    def _frame(self, sound: Sound) -> Chunk:
        stft, track, codec = self._states
        wave = torch.from_numpy(np.ascontiguousarray(to_stereo(sound))).to(self.device)
        spectrum = self.stft.step(mid_side(wave[None], 1), stft)
        byte = level_byte(float(self.level.step(frame_power(spectrum), track)))
        level = torch.tensor([byte_level(byte)], device=self.device)
        codes = self.codec.encode_step(spectrum, level, codec, codebooks=self.format.codebooks)
        self._told += 1
        return Chunk(codes.cpu().numpy().astype(np.uint16), np.array([byte], np.uint8))


class StreamDecoder:
    """See ``coder.Decoder``."""

    def __init__(self, coder: StreamingCoder, format: TokenFormat) -> None:
        self.format, self.codec, self.device = format, coder.codec, coder.device
        self.istft = ISTFT((2,)).to(coder.device)
        self._states = [part.init_state(1, coder.device) for part in (self.istft, self.codec)]
        self._skip = _DELAY

    def push(self, chunk: Chunk) -> Sound:
        parts = [np.zeros((self.format.channels, 0), np.float32)]
        for codes, byte in zip(chunk.codes, chunk.levels, strict=True):
            wave = self._frame(codes, int(byte))
            parts.append(from_stereo(wave, self.format.channels)[:, self._skip :])
            self._skip = 0
        return np.concatenate(parts, 1)

    def flush(self) -> Sound:
        return np.zeros((self.format.channels, 0), np.float32)

    @torch.inference_mode()
    def _frame(self, codes: NDArray[np.uint16], byte: int) -> Sound:
        istft, codec = self._states
        row = torch.from_numpy(codes.astype(np.int64))[None].to(self.device)
        level = torch.tensor([byte_level(byte)], device=self.device)
        columns: Tensor = self.codec.decode_step(row, level, codec)
        return mid_side(self.istft.step(columns, istft), 1)[0].cpu().numpy()
