"""How far tokens are trusted beside the guide, fitted on held-out songs. Knows the fusion's few numbers, no others.

On the songs it was trained on a language model is surer of itself than it should be, so its weight is fitted elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from streamsep.condition.guide import log_masks
from streamsep.config import LOOKAHEADS
from streamsep.lm import LIVE, generate
from streamsep.model.fuse import guide_envelopes
from streamsep.model.net import Net
from streamsep.train.batches import Spectra
from streamsep.train.losses import BandStatistics, band_statistics, mask_loss
from streamsep.train.validation import ValidationSongs

STEPS, RATE = 60, 0.05


@dataclass(frozen=True)
class _Song:
    """What the fusion is given, and what its masks are measured by."""

    logits: Tensor
    envelopes: Tensor
    entropy: Tensor
    stats: BandStatistics


def calibrate(net: Net, songs: ValidationSongs, steps: int = STEPS) -> tuple[float, float]:
    """Fit ``net.fuse`` at lookahead 0; returns the loss before and after. Everything else stays as it is."""
    heard = [_hear(net, song) for song in songs]
    usual = torch.stack([song.entropy.mean((0, 1)) for song in heard]).mean(0)
    net.fuse.usual.copy_(usual)
    optimizer = torch.optim.Adam(net.fuse.parameters(), RATE)
    losses: list[float] = []
    for _ in range(steps + 1):
        optimizer.zero_grad()
        total = 0.0
        for song in heard:
            loss = _loss(net, song) / len(heard)
            loss.backward()
            total += float(loss.detach())
        losses.append(total)
        if len(losses) <= steps:
            optimizer.step()
    return losses[0], losses[-1]


def _loss(net: Net, song: _Song) -> Tensor:
    logs = net.fuse(song.logits, song.envelopes, song.entropy)
    valid = torch.ones(logs.shape[:2], dtype=torch.bool, device=logs.device)
    return mask_loss(logs, song.stats, valid).total


@torch.no_grad()
def _hear(net: Net, song: Spectra) -> _Song:
    """A song as the net hears it live: nothing it emits is fed back, so that all frames are emitted at once."""
    batch, length = song.mixture.shape[:2]
    device = song.mixture.device
    lookahead = torch.full((batch,), LOOKAHEADS.index(0), device=device)
    trunk = net.trunk(song.mixture, lookahead)
    guide = guide_envelopes(log_masks(trunk.logits), song.mixture, trunk.level)
    stems = song.stems.shape[2]
    nothing = torch.zeros(batch, length, stems, net.lm.tables.vectors.shape[-1], device=device)
    past = net.lm.embed(nothing, torch.zeros(batch, length, stems, dtype=torch.bool, device=device))
    h = net.lm.temporal(net.pool(trunk.tokens.transpose(1, 2)), past, lookahead)
    frame = generate(net.lm.depth, h.flatten(0, 1), guide.flatten(0, 1), LIVE)
    envelopes = net.codec.semantic.decode(frame.latent).unflatten(0, (batch, length))
    entropy = frame.entropy.unflatten(0, (batch, length))
    return _Song(trunk.logits, envelopes, entropy, band_statistics(song))
