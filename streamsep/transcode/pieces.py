"""H-Codec-2.0 on blocks of sound: whole pieces of some seconds, each coded apart from the others, in mono.

It is no streaming codec: a piece must be there to its end before its first token is known. Within a piece the tokens
are those of the published tokenizer; where two pieces meet, each is padded as at the end of a file.
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
        self._rest = np.zeros((1, 0), np.float32)

    def push(self, block: Sound) -> Chunk:
        self._rest = np.concatenate([self._rest, block], 1)
        chunks: list[Chunk] = []
        while self._rest.shape[1] >= self._size:
            chunks.append(self._piece(self._rest[:, : self._size]))
            self._rest = self._rest[:, self._size :]
        return join(chunks, self.format.codebooks)

    def flush(self) -> Chunk:
        rest, self._rest = self._rest, self._rest[:, :0]
        return join([self._piece(rest)] if rest.shape[1] else [], self.format.codebooks)

    @torch.inference_mode()
    def _piece(self, sound: Sound) -> Chunk:
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
        self._rest: Chunk = join([], format.codebooks)

    def push(self, chunk: Chunk) -> Sound:
        self._rest = join([self._rest, chunk], self.format.codebooks)
        size = self.format.piece or len(self._rest)
        parts = [np.zeros((1, 0), np.float32)]
        while size and len(self._rest) >= size:
            parts.append(self._piece(Chunk(self._rest.codes[:size], self._rest.levels[:size])))
            self._rest = Chunk(self._rest.codes[size:], self._rest.levels[size:])
        return np.concatenate(parts, 1)

    def flush(self) -> Sound:
        rest, self._rest = self._rest, join([], self.format.codebooks)
        return self._piece(rest) if len(rest) else np.zeros((1, 0), np.float32)

    @torch.inference_mode()
    def _piece(self, chunk: Chunk) -> Sound:
        codes = torch.from_numpy(chunk.codes.astype(np.int64)).T[None].to(self.device)
        semantic, acoustic = codes[:, : self.format.semantic], codes[:, self.format.semantic :]
        return self.codec.decode(acoustic, semantic).cpu().numpy()
