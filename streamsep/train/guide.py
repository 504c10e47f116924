"""Stage 1: trunk and guide head, by the energy of what their masks get wrong. Knows masks; knows nothing of codes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from streamsep.codec.stft import STFT
from streamsep.condition.guide import log_masks
from streamsep.config import LOOKAHEADS
from streamsep.model.trunk import Trunk
from streamsep.train.batches import spectra
from streamsep.train.colour import random_colours
from streamsep.train.losses import SHARE, band_statistics, mask_loss
from streamsep.train.precision import training_dtype
from streamsep.train.recipe import StageConfig
from streamsep.train.record import TrunkPass
from streamsep.train.stage import draw_lookahead
from streamsep.train.validation import ValidationSongs


class GuideStage:
    """Trains a :class:`Trunk`. Score: SI-SDR improvement of the guide's masks at lookahead 0."""

    def __init__(self, module: Trunk, config: StageConfig, valid: ValidationSongs | None) -> None:
        self.module, self.config, self.valid = module, config, valid
        self.stft = STFT()
        self._pass: TrunkPass | None = None

    def loss(self, waves: Tensor, generator: torch.Generator, progress: float = 0.0) -> tuple[Tensor, dict[str, float]]:
        self.stft.to(waves.device)
        spectrum = spectra(waves, self.stft, self._colours(waves, generator, progress))
        lookahead = draw_lookahead(waves.shape[0], self.config.lookahead_odds, generator).to(waves.device)
        if self._pass is None:
            dtype = training_dtype(self.config.precision, waves.device)
            self._pass = TrunkPass(self.module, dtype, self.config.compile, waves.device)
        logs = log_masks(self._pass(spectrum.mixture, lookahead).logits.float())
        stats, valid = band_statistics(spectrum).aligned(lookahead)
        found = mask_loss(logs, stats, valid)
        total = found.total(self.config.options.get("share", SHARE))
        return total, {name: float(value.detach()) for name, value in vars(found).items()}

    def _colours(self, waves: Tensor, generator: torch.Generator, progress: float) -> Tensor | None:
        """Half as strong over the last steps, when mixtures are closer to real music."""
        spread = self.config.options.get("colour_db", 0.0) * (1 if progress < 1 - self.config.settled else 0.5)
        if not spread:
            return None
        return random_colours(waves.shape[0], waves.shape[1], spread, generator).to(waves.device)

    def masks(self, mixture: Tensor, k: int) -> Tensor:
        """Spectrum [B, T, 2, 2, 961] → masks by frame [B, T, S, 2, 2, 120] of lookahead ``k``."""
        lookahead = torch.full((mixture.shape[0],), LOOKAHEADS.index(k), device=mixture.device)
        masks = self.module(mixture, lookahead).logits.softmax(2)
        return torch.roll(masks, -k, 1)  # step t speaks of frame t - k; the edge frames are cut off when scored

    def score(self) -> dict[str, float]:
        if self.valid is None:
            return {"score": 0.0}
        found = {k: self.valid.improvement(self.masks(song.mixture, k) for song in self.valid) for k in (0, -1, 2)}
        names = {f"k{k}": found[k]["mean"] for k in (-1, 2)}
        return {"score": found[0]["mean"], **{s: v for s, v in found[0].items() if s != "mean"}, **names}

    def picture(self, path: Path) -> None:
        if self.valid is not None:
            self.valid.picture(path, self.masks(next(iter(self.valid)).mixture, 0))

    def sample(self, path: Path) -> None:
        if self.valid is not None:
            self.valid.sample(path, self.masks(next(iter(self.valid)).mixture, 0))
