"""The paper's arrangement: mixture embedding and language model on a codec that stays as it is. Knows codes.

As in the streaming model's stage, the past is corrupted and dropped, so that the model learns to live with what it
writes itself, and the masks that its probabilities stand for are trained besides the codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from streamsep.codec.envelope import log_envelopes
from streamsep.codec.semantic import sounding
from streamsep.codec.stft import STFT
from streamsep.lm import Corruption, corrupt_history
from streamsep.model.trunk import frame_power
from streamsep.paper.net import PaperNet
from streamsep.train.batches import spectra
from streamsep.train.losses import BandStatistics, band_statistics, mask_loss
from streamsep.train.recipe import StageConfig
from streamsep.train.validation import ValidationSongs

_SCORED_SEGMENTS = 64  # written side by side


@dataclass(frozen=True)
class Heard:
    """``mixture`` [B, T, 2, 2, 961] complex, ``level`` [B, T], ``codes`` [B, T, S, q] of the codec, ``statistics`` of
    mixture and stems, true log ``envelopes`` [B, T, S, 240].
    """

    mixture: Tensor
    level: Tensor
    codes: Tensor
    statistics: BandStatistics
    envelopes: Tensor


class PaperStage:
    """Trains a :class:`PaperNet`. Score: SI-SDR improvement, greedy and fed only what it writes itself."""

    def __init__(self, module: PaperNet, config: StageConfig, valid: ValidationSongs | None) -> None:
        self.module, self.config, self.valid = module, config, valid
        self.stft = STFT()
        module.codec.requires_grad_(False)
        options = config.options
        self.corruption = Corruption(
            replace=options.get("replace", 0.15),
            drop=options.get("drop", 0.25),
            drop_stem=options.get("drop_stem", 0.25),
        )
        self._shown: Tensor | None = None  # masks of the first held-out song, from the last scoring

    def loss(self, waves: Tensor, generator: torch.Generator, progress: float = 0.0) -> tuple[Tensor, dict[str, float]]:
        return self.loss_on(self.hear(waves), int(torch.randint(1 << 40, (), generator=generator)))

    @torch.no_grad()
    def hear(self, waves: Tensor) -> Heard:
        """What does not depend on what is trained: several nets on one codec may share it."""
        net, found = self.module, spectra(waves, self.stft.to(waves.device))
        net.codec.eval()
        level = net.level(frame_power(found.mixture))
        true = log_envelopes(found.stems, level.unsqueeze(-1))
        return Heard(found.mixture, level, net.encode(found.stems, level), band_statistics(found), true)

    def loss_on(self, heard: Heard, seed: int) -> tuple[Tensor, dict[str, float]]:
        """The loss, and what the log shows; ``seed`` decides how the past is damaged."""
        net = self.module
        codes = heard.codes[..., net.books]
        noise = torch.Generator(codes.device).manual_seed(seed)
        past, present = corrupt_history(codes, net.lm.tables.shape[1], noise, self.corruption)
        embedding = net.embedding(heard.mixture, heard.level)
        logits = net.lm(embedding, past.masked_fill(~present.unsqueeze(-1), -1))
        ce = F.cross_entropy(logits.flatten(0, -2), codes.flatten())
        loss, parts = ce, {"ce": ce}
        if share := self.config.options.get("mask", 0.2):
            valid = torch.ones(codes.shape[:2], dtype=torch.bool, device=codes.device)
            masks = mask_loss(net.log_masks(net.means(logits)), heard.statistics, valid)
            loss, parts = loss + share * masks.total(), {**parts, "soft": masks.share}
        if net.readout is not None:
            # Envelopes of the true codes; silence counts little.
            weight = sounding(heard.envelopes)
            error = (net.envelopes(net.vectors(codes)) - heard.envelopes).abs().mean(-1)
            error = (error * weight).sum() / weight.sum().clamp(min=1)
            loss, parts = loss + error, {**parts, "readout": error}
        return loss, {name: float(value.detach()) for name, value in parts.items()}

    def score(self) -> dict[str, float]:
        if self.valid is None:
            return {"score": 0.0}
        masks = [self.masks(song.mixture) for song in self.valid]
        self._shown = masks[0]
        found = self.valid.improvement(masks)
        return {"score": found["mean"], "nll": self._nll(), **{s: v for s, v in found.items() if s != "mean"}}

    def masks(self, mixture: Tensor) -> Tensor:
        """Spectrum of a song [1, T, 2, 2, 961] → masks by frame [1, T, S, 2, 2, 120], segment after segment."""
        size = self.module.config.paper.frames
        padded = F.pad(mixture, (0, 0) * 3 + (0, -mixture.shape[1] % size))
        parts = [
            self.module.log_masks(self.module.separate(part)[1]).exp()
            for part in padded[0].unflatten(0, (-1, size)).split(_SCORED_SEGMENTS)
        ]
        return torch.cat(parts).flatten(0, 1)[None, : mixture.shape[1]]

    def _nll(self) -> float:
        """Nats a code, given the true past, on the first segment of every held-out song."""
        assert self.valid is not None
        total: list[float] = []
        for song in self.valid:
            size = min(self.module.config.paper.frames, song.mixture.shape[1])
            level, embedding = self.module.hear(song.mixture[:, :size])
            codes = self.module.encode(song.stems[:, :size], level)[..., self.module.books]
            total.append(float(F.cross_entropy(self.module.lm(embedding, codes).flatten(0, -2), codes.flatten())))
        return sum(total) / len(total)

    def picture(self, path: Path) -> None:
        if self.valid is not None and self._shown is not None:
            self.valid.picture(path, self._shown)

    def sample(self, path: Path) -> None:
        if self.valid is not None and self._shown is not None:
            self.valid.sample(path, self._shown)
