"""Variants on held-out songs: separation, and how well the tokens are told. Knows nets; compares nothing.

Songs are cut into segments that do not overlap; those of several songs are written side by side, greedily, fed only
what was written. The masks of a song are joined, and its stems rendered in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from streamsep.evaluate.metrics import Sound
from streamsep.evaluate.scores import Row, SongScorer, song_summary
from streamsep.evaluate.songs import TrueStems
from streamsep.model.trunk import frame_power
from streamsep.paper.net import PaperNet
from streamsep.render.mask import to_bins
from streamsep.train.batches import spectra

FREE, TRUE = "free", "true"
Tokens = tuple[dict[str, float | None], dict[str, float | None]]
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
class _Heard:
    """A song: ``true`` stems as far as they can be rendered, mixture ``columns`` [frames, 2, 2, 961], and as segments,
    [N, T, ...] each: ``mixture`` columns, ``level``, the codec's ``codes`` and where stems ``sound``.
    """

    true: TrueStems
    columns: Tensor
    mixture: Tensor
    level: Tensor
    codes: Tensor
    sound: Tensor


class SongMeter:
    """Measures nets of one codec and one segment length on songs, a few at a time."""

    def __init__(self, net: PaperNet) -> None:
        """``net``: any of them that writes all codebooks; its codec encodes the true stems."""
        self._net = net
        self._size = net.config.paper.frames
        self._device = net.lm.tables.device
        self._stft, self._istft = STFT().to(self._device), ISTFT().to(self._device)

    @torch.inference_mode()
    def __call__(self, songs: Sequence[TrueStems], nets: dict[str, PaperNet]) -> list[dict[str, SongMeasures]]:
        """Measures of each song, of every net by name."""
        heard = [self._hear(song) for song in songs]
        scorers = [SongScorer(one.true) for one in heard]
        tokens: list[dict[str, Tokens]] = [{} for _ in heard]
        for name, net in nets.items():
            runs = self._run(net, heard)
            for one, (written, vectors, logits), scorer, told in zip(heard, runs, scorers, tokens, strict=True):
                codes = one.codes[..., net.books]
                scorer.add(Row(f"{name}.{FREE}"), self._render(net, vectors, one.columns))
                scorer.add(Row(f"{name}.{TRUE}"), self._render(net, net.vectors(codes), one.columns))
                told[name] = _tokens(net, written, codes, logits, one.sound)
        return [_measures(scorer, told) for scorer, told in zip(scorers, tokens, strict=True)]

    def _hear(self, song: TrueStems) -> _Heard:
        """A song as segments, the last filled up with silence."""
        frames = song.stems.shape[-1] // FRAME
        waves = torch.from_numpy(np.ascontiguousarray(song.stems[..., : frames * FRAME])).to(self._device)[None]
        found = spectra(waves, self._stft)
        pad = -frames % self._size

        def cut(x: Tensor) -> Tensor:
            return F.pad(x, (0, 0) * (x.dim() - 2) + (0, pad))[0].unflatten(0, (-1, self._size))

        mixture, stems = cut(found.mixture), cut(found.stems)
        level = self._net.level(frame_power(mixture))
        sound = sounding(log_envelopes(stems, level.unsqueeze(-1))) == 1
        sound.flatten(0, 1)[frames:] = False
        true = waves[0, ..., :-HOP].cpu().numpy()
        codes = self._net.encode(stems, level)
        return _Heard(TrueStems(song.name, true, true.sum(0)), found.mixture[0], mixture, level, codes, sound)

    def _run(self, net: PaperNet, heard: Sequence[_Heard]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Of each song: codes written and vectors to make stems from, both free running, and logits given the past."""
        mixture, level, codes = (
            torch.cat([getattr(one, name) for one in heard]).split(_ABREAST) for name in ("mixture", "level", "codes")
        )
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for spectrum, loudness, told in zip(mixture, level, codes, strict=True):
            written, vectors, _ = net.separate(spectrum)
            parts.append((written, vectors, net.lm(net.embedding(spectrum, loudness), told[..., net.books])))
        sizes = [len(one.level) for one in heard]
        return zip(*(torch.cat(each).split(sizes) for each in zip(*parts, strict=True)), strict=True)

    def _render(self, net: PaperNet, vectors: Tensor, columns: Tensor) -> dict[str, Sound]:
        masks = net.log_masks(vectors).exp().flatten(0, 1)[: len(columns)]
        stems = (to_bins(masks) * columns.unsqueeze(1)).permute(1, 2, 0, 3, 4).flatten(2, 3)
        sound = mid_side(self._istft(stems), 1)[..., HOP:].cpu().numpy()
        return dict(zip(STEMS, sound, strict=True))


def _measures(scorer: SongScorer, tokens: dict[str, Tokens]) -> dict[str, SongMeasures]:
    rows = {row["estimate"]: row["improvement"] for row in song_summary(scorer.scores)["rows"]}
    return {name: SongMeasures(rows[f"{name}.{FREE}"], rows[f"{name}.{TRUE}"], *told) for name, told in tokens.items()}


def _tokens(net: PaperNet, written: Tensor, told: Tensor, logits: Tensor, sound: Tensor) -> Tokens:
    """Accuracy and nats of each stream, where a stem sounds."""
    right = (written == told)[sound].float()  # [n, Q]
    cost = F.cross_entropy(logits[sound].flatten(0, -2), told[sound].flatten(), reduction="none").view_as(right)
    semantic = net.config.codec.semantic_codebooks
    accuracy: dict[str, float | None] = {}
    nll: dict[str, float | None] = {}
    for stream, first, last in (("semantic", 0, semantic), ("acoustic", semantic, net.config.codec.codebooks)):
        own = slice(max(first - net.books.start, 0), max(last - net.books.start, 0))
        there = right[:, own].numel() > 0
        accuracy[stream] = float(right[:, own].mean()) if there else None
        nll[stream] = float(cost[:, own].mean()) if there else None
    return accuracy, nll
