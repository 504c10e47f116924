"""H-Codec-2.0 on blocks of sound: whole pieces of some seconds, each coded apart from the others, in mono.

It is no streaming codec: a piece must be there to its end before its first token is known. Within a piece the tokens
are those of the published tokenizer. Every piece is coded with a margin of its neighbours on either side, so that
nothing is padded where two meet. The encoder leaves the margin's tokens out; the decoder fades from one piece's sound
to the next over both margins:

    sound of piece k       |────────────────────────────|
    piece k + 1                                   |────────────────────────────|
    given                       piece k           |mix |      piece k + 1
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from streamsep.codec.hcodec2.model import HCodec2, compress
from streamsep.codec.hcodec2.teacher import Teacher, check_features
from streamsep.errors import OptionError
from streamsep.transcode.coder import Chunk, Sound, join
from streamsep.transcode.tokens import TokenFormat

PIECE_SECONDS = 30.0
MARGIN = 8  # tokens, 0.64 s: well beyond the reach of the convolutions


class PieceCoder:
    """An imported H-Codec-2.0. Encoding needs a ``teacher``, decoding none."""

    def __init__(
        self,
        codec: HCodec2,
        name: str,
        teacher: Teacher | None = None,
        seconds: float = PIECE_SECONDS,
        device: torch.device | str = "cpu",
    ) -> None:
        self.codec, self.name, self.teacher, self.device = codec, name, teacher, device
        self.rate = codec.cfg.sampling_rate
        self.piece = max(round(seconds * codec.cfg.token_rate), 1)

    def coded_channels(self, channels: int) -> int:
        return 1

    def encoder(self, channels: int, codebooks: int | None = None) -> PieceEncoder:
        """``codebooks`` in all, half of them in each stream."""
        if self.teacher is None:
            raise OptionError(
                f"'{self.name}' needs semantic features to encode: give --semantic FOLDER with a HuBERT (bosonai/"
                "hubert_base) or --semantic module:name."
            )
        return PieceEncoder(self, self.teacher, self._format(codebooks))

    def decoder(self, format: TokenFormat) -> PieceDecoder:
        if format.fingerprint != self.fingerprint():
            raise OptionError(
                f"the tokens are of '{format.codec}', another codec than '{self.name}'; give theirs as --codec."
            )
        return PieceDecoder(self, format)

    def fingerprint(self) -> str:
        tables = [book.embed for q in (self.codec.semantic_quantizer, self.codec.quantizer) for book in q.codebooks]
        digest = hashlib.sha256()
        for table in tables:
            digest.update(table.float().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _format(self, codebooks: int | None) -> TokenFormat:
        books = self.codec.cfg.quantizer_config
        count = 2 * books.num_quantizers if codebooks is None else codebooks
        most = 2 * books.num_quantizers
        if count % 2 or not 2 <= count <= most:
            raise OptionError(f"'{self.name}' codes with an even number of codebooks from 2 to {most}, not {count}.")
        return TokenFormat(
            codec=self.name,
            fingerprint=self.fingerprint(),
            rate=self.rate,
            channels=1,
            token_hop=self.codec.cfg.token_hop,
            entries=books.codebook_size,
            codebooks=count,
            semantic=count // 2,
            levels=False,
            piece=self.piece,
        )


class PieceEncoder:
    """See ``coder.Encoder``."""

    def __init__(self, coder: PieceCoder, teacher: Teacher, format: TokenFormat) -> None:
        self.format, self.codec, self.teacher, self.device = format, coder.codec, teacher, coder.device
        self._size = format.piece * format.token_hop
        self._margin = margin(format.piece) * format.token_hop
        self._before = 0  # samples of the piece before, at the front of what waits
        self._rest = np.zeros((1, 0), np.float32)

    def push(self, block: Sound) -> Chunk:
        self._rest = np.concatenate([self._rest, block], 1)
        chunks: list[Chunk] = []
        while self._rest.shape[1] >= self._before + self._size + self._margin:
            chunks.append(self._next())
        return join(chunks, self.format.codebooks)

    def flush(self) -> Chunk:
        chunks: list[Chunk] = []
        while self._rest.shape[1] > self._before:
            chunks.append(self._next())
        self._before, self._rest = 0, self._rest[:, :0]
        return join(chunks, self.format.codebooks)

    def _next(self) -> Chunk:
        """The tokens of the next piece, or of what there is of it."""
        end = min(self._before + self._size, self._rest.shape[1])
        chunk = self._encode(self._rest[:, : end + self._margin])
        first, last = self._before // self.format.token_hop, -(-end // self.format.token_hop)
        kept = max(end - self._margin, 0)
        self._before, self._rest = end - kept, self._rest[:, kept:]
        return Chunk(chunk.codes[first:last], chunk.levels[first:last])

    @torch.inference_mode()
    def _encode(self, sound: Sound) -> Chunk:
        wave = self.codec.pad(torch.from_numpy(np.ascontiguousarray(sound)).to(self.device))
        features = self.teacher(wave)
        check_features(features, self.codec.cfg, wave.shape[1] // self.codec.cfg.encoder_config.hop_length)
        acoustic, semantic = self.codec.encode(wave, compress(features))
        kept = self.format.semantic
        codes = torch.cat([semantic[0, :kept], acoustic[0, :kept]]).T.cpu().numpy().astype(np.uint16)
        return Chunk(codes, np.zeros(len(codes), np.uint8))


class PieceDecoder:
    """See ``coder.Decoder``."""

    def __init__(self, coder: PieceCoder, format: TokenFormat) -> None:
        self.format, self.codec, self.device = format, coder.codec, coder.device
        self._margin = margin(format.piece)
        self._reset()

    def _reset(self) -> None:
        self._before = 0  # tokens of the piece before, at the front of what waits
        self._rest: Chunk = join([], self.format.codebooks)
        self._tail: Sound = np.zeros((1, 0), np.float32)  # the last piece's sound where the next one also sounds

    def push(self, chunk: Chunk) -> Sound:
        self._rest = join([self._rest, chunk], self.format.codebooks)
        parts = [np.zeros((1, 0), np.float32)]
        while self.format.piece and len(self._rest) >= self._before + self.format.piece + self._margin:
            parts.append(self._next())
        return np.concatenate(parts, 1)

    def flush(self) -> Sound:
        parts = [np.zeros((1, 0), np.float32)]
        while len(self._rest) > self._before:
            parts.append(self._next())
        parts.append(self._tail)
        self._reset()
        return np.concatenate(parts, 1)

    def _next(self) -> Sound:
        """The next piece, or what there is of it: its beginning mixed with the end of the one before, its end kept."""
        end = min(self._before + (self.format.piece or len(self._rest)), len(self._rest))
        sound = self._decode(Chunk(self._rest.codes[: end + self._margin], self._rest.levels[: end + self._margin]))
        fade = self._tail.shape[1]
        rise = ((np.arange(fade) + 0.5) / max(fade, 1)).astype(np.float32)
        sound[:, :fade] = rise * sound[:, :fade] + (1 - rise) * self._tail
        # With nothing behind it, this is the last piece: all of it may go.
        kept = max(end - self._margin, 0) if end < len(self._rest) else end
        self._before = end - kept
        self._rest = Chunk(self._rest.codes[kept:], self._rest.levels[kept:])
        cut = kept * self.format.token_hop
        self._tail = sound[:, cut:]
        return sound[:, :cut]

    @torch.inference_mode()
    def _decode(self, chunk: Chunk) -> Sound:
        codes = torch.from_numpy(chunk.codes.astype(np.int64)).T[None].to(self.device)
        semantic, acoustic = codes[:, : self.format.semantic], codes[:, self.format.semantic :]
        return self.codec.decode(acoustic, semantic).cpu().numpy()


def margin(piece: int) -> int:
    """Tokens of its neighbours that a piece of ``piece`` tokens is coded with, on either side."""
    return min(MARGIN, piece // 4)
