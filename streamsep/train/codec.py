"""Stage 2: the codec. First the semantic path, then acoustic path and decoder. Knows codes; knows no language model."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from streamsep.codec.model import Codec
from streamsep.codec.stft import STFT
from streamsep.condition.level import LevelTracker
from streamsep.model.fuse import token_masks
from streamsep.model.trunk import frame_power
from streamsep.train.batches import Spectra, spectra
from streamsep.train.codec_losses import codec_training_loss
from streamsep.train.losses import SHARE, band_statistics, mask_loss
from streamsep.train.recipe import StageConfig
from streamsep.train.validation import ValidationSongs


def encode_stems(codec: Codec, stems: Tensor, level: Tensor, codebooks: int | None = None) -> Tensor:
    """``stems`` [B, T, S, 2, 2, 961] complex, ``level`` [B, T] → codes [B, T, S, q]."""
    batch, _, count = stems.shape[:3]
    folded = stems.transpose(1, 2).flatten(0, 1)
    codes = codec.encode(folded, level.repeat_interleave(count, 0), codebooks)
    return codes.unflatten(0, (batch, count)).transpose(1, 2)


class CodecStage:
    """Trains a :class:`Codec`. Score: SI-SDR improvement of masks from true tokens, less the decoder's loss."""

    def __init__(self, module: Codec, config: StageConfig, valid: ValidationSongs | None) -> None:
        self.module, self.config, self.valid = module, config, valid
        self.stft, self.level = STFT(), LevelTracker()
        self.semantic_share = config.options.get("semantic_share", 0.5)
        self.mask = config.options.get("mask", 0.0)  # weight of the masks' loss

    def loss(self, waves: Tensor, generator: torch.Generator, progress: float = 0.0) -> tuple[Tensor, dict[str, float]]:
        found, level = self._hear(waves)
        stage = "semantic" if progress < self.semantic_share else "acoustic"
        masks = partial(self._mask_loss, found) if self.mask else None
        return codec_training_loss(self.module, found.stems, level, stage, masks=masks)

    def _mask_loss(self, found: Spectra, envelopes: Tensor) -> Tensor:
        """What guide and language model are trained by, of the masks from ``envelopes`` [B, T, S, 240]."""
        stats = band_statistics(found)
        valid = torch.ones(stats.mix.shape[:2], dtype=torch.bool, device=stats.mix.device)
        share = self.config.options.get("share", SHARE)
        return self.mask * mask_loss(token_masks(envelopes), stats, valid).total(share)

    def _hear(self, waves: Tensor) -> tuple[Spectra, Tensor]:
        found = spectra(waves, self.stft.to(waves.device))
        return found, self.level.to(waves.device)(frame_power(found.mixture))

    def masks(self, song: Spectra) -> Tensor:
        """Masks by frame from the true stems' semantic tokens."""
        level = self.level(frame_power(song.mixture))
        codes = encode_stems(self.module, song.stems, level, self.module.cfg.semantic_codebooks)
        return token_masks(self.module.semantic.decode(self.module.semantic.quantizer.decode(codes))).exp()

    def score(self) -> dict[str, float]:
        if self.valid is None:
            return {"score": 0.0}
        found = self.valid.improvement(self.masks(song) for song in self.valid)
        acoustic = [self._acoustic(index) for index in range(min(4, len(self.valid.songs)))]
        loss = sum(acoustic) / len(acoustic)
        return {"score": found["mean"] - loss, "true_tokens": found["mean"], "acoustic": loss}

    def _acoustic(self, index: int) -> float:
        assert self.valid is not None
        assert not self.module.training
        waves = self.valid.waves(index)
        found, level = self._hear(waves)
        return float(codec_training_loss(self.module, found.stems, level, "acoustic")[0])

    def picture(self, path: Path) -> None:
        if self.valid is not None:
            self.valid.picture(path, self.masks(next(iter(self.valid))))

    def sample(self, path: Path) -> None:
        if self.valid is not None:
            self.valid.sample(path, self.masks(next(iter(self.valid))))
