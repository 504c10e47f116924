"""Variants on held-out songs: separation, and how well the tokens are told. Knows nets; compares nothing.

A song is cut into segments that do not overlap; they are written side by side, greedily, fed only what was written. The
masks of a song are joined, and its stems rendered in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from streamsep.codec.envelope import log_envelopes
from streamsep.codec.semantic import sounding
from streamsep.codec.stft import ISTFT, STFT
from streamsep.condition.features import mid_side
from streamsep.config import FRAME, HOP, STEMS
from streamsep.evaluate.scores import Row, SongScorer, song_summary
from streamsep.evaluate.songs import TrueStems
from streamsep.model.trunk import frame_power
from streamsep.paper.net import PaperNet
from streamsep.render.mask import to_bins
from streamsep.train.batches import Spectra, spectra

FREE, TRUE = "free", "true"
_ABREAST = 64  # segments written side by side


@dataclass(frozen=True)
class SongMeasures:
    """One song with one variant; None where there was nothing to measure.

    ``improvement`` SI-SDR over the mixture in dB, a stem and their ``mean``; ``ceiling`` the same of the true tokens;
    ``accuracy`` share of the tokens written that are the true ones, and ``nll`` nats a token given the true past, both
    where a stem sounds, by stream (``semantic``, ``acoustic``).
    """

    improvement: dict[str, float | None]
    ceiling: dict[str, float | None]
    accuracy: dict[str, float | None]
    nll: dict[str, float | None]


@dataclass(frozen=True)
class _Segments:
    """Of a song, [N, T, ...] each: ``mixture`` columns, ``level``, the codec's ``codes`` and where stems ``sound``."""

    mixture: Tensor
    level: Tensor
    codes: Tensor
    sound: Tensor


class SongMeter:
    """Measures nets of one codec and one segment length on a song."""

    def __init__(self, net: PaperNet) -> None:
        """``net``: any of them that writes all codebooks; its codec encodes the true stems."""
        self._net = net
        self._size = net.config.paper.frames
        self._device = net.lm.tables.device
        self._stft, self._istft = STFT().to(self._device), ISTFT().to(self._device)

    @torch.inference_mode()
    def __call__(self, song: TrueStems, nets: dict[str, PaperNet]) -> dict[str, SongMeasures]:
        """Measures of every net by name."""
        frames = song.stems.shape[-1] // FRAME
        waves = torch.from_numpy(np.ascontiguousarray(song.stems[..., : frames * FRAME])).to(self._device)[None]
        found = spectra(waves, self._stft)
        segments = self._cut(found)
        true = waves[0, ..., :-HOP].cpu().numpy()
        scorer = SongScorer(TrueStems(song.name, true, true.sum(0)))
        tokens: dict[str, tuple[dict[str, float | None], dict[str, float | None]]] = {}
        for name, net in nets.items():
            written, vectors, logits = self._run(net, segments)
            told = segments.codes[..., net.books]
            scorer.add(Row(f"{name}.{FREE}"), self._render(net, vectors, found.mixture))
            scorer.add(Row(f"{name}.{TRUE}"), self._render(net, net.vectors(told), found.mixture))
            tokens[name] = self._tokens(net, written, told, logits, segments.sound)
        rows = {row["estimate"]: row["improvement"] for row in song_summary(scorer.scores)["rows"]}
        return {name: SongMeasures(rows[f"{name}.{FREE}"], rows[f"{name}.{TRUE}"], *tokens[name]) for name in nets}

    def _cut(self, found: Spectra) -> _Segments:
        """Segments of a song, the last filled up with silence."""
        pad = -found.mixture.shape[1] % self._size

        def cut(x: Tensor) -> Tensor:
            return F.pad(x, (0, 0) * (x.dim() - 2) + (0, pad))[0].unflatten(0, (-1, self._size))

        mixture, stems = cut(found.mixture), cut(found.stems)
        level = self._net.level(frame_power(mixture))
        sound = sounding(log_envelopes(stems, level.unsqueeze(-1))) == 1
        sound.flatten(0, 1)[found.mixture.shape[1] :] = False
        return _Segments(mixture, level, self._net.encode(stems, level), sound)

    def _run(self, net: PaperNet, segments: _Segments) -> tuple[Tensor, Tensor, Tensor]:
        """Codes written and vectors to make stems from, both free running, and logits given the true past."""
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        told = segments.codes[..., net.books]
        for mixture, level, codes in zip(
            *(x.split(_ABREAST) for x in (segments.mixture, segments.level, told)), strict=True
        ):
            written, vectors, _ = net.separate(mixture)
            parts.append((written, vectors, net.lm(net.embedding(mixture, level), codes)))
        written, vectors, logits = (torch.cat(each) for each in zip(*parts, strict=True))
        return written, vectors, logits

    def _render(self, net: PaperNet, vectors: Tensor, mixture: Tensor) -> dict[str, np.ndarray]:
        masks = net.log_masks(vectors).exp().flatten(0, 1)[: mixture.shape[1]]
        columns = (to_bins(masks) * mixture[0].unsqueeze(1)).permute(1, 2, 0, 3, 4).flatten(2, 3)
        sound = mid_side(self._istft(columns), 1)[..., HOP:].cpu().numpy()
        return dict(zip(STEMS, sound, strict=True))

    def _tokens(
        self, net: PaperNet, written: Tensor, told: Tensor, logits: Tensor, sound: Tensor
    ) -> tuple[dict[str, float | None], dict[str, float | None]]:
        right = (written == told)[sound].float()  # [n, Q]
        cost = F.cross_entropy(logits[sound].flatten(0, -2), told[sound].flatten(), reduction="none").view_as(right)
        accuracy: dict[str, float | None] = {}
        nll: dict[str, float | None] = {}
        semantic = net.config.codec.semantic_codebooks
        for stream, first, last in (("semantic", 0, semantic), ("acoustic", semantic, net.config.codec.codebooks)):
            own = slice(max(first - net.books.start, 0), max(last - net.books.start, 0))
            there = right[:, own].numel() > 0
            accuracy[stream] = float(right[:, own].mean()) if there else None
            nll[stream] = float(cost[:, own].mean()) if there else None
        return accuracy, nll
