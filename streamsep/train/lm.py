"""Stage 3: the language model on a trained trunk and codec, and the fusion of its tokens with the guide.

With the option ``joint``, the weight of the guide's loss, the trunk goes on learning, from the guide's masks and from
what the language model makes of its tokens; else it stays as it is.

Exposure bias is treated four ways. The past is corrupted and dropped (``streamsep.lm.corrupt``), mostly dropped: an
early model that was fed what it emitted talked itself into silence. Half of every batch sees of the same frame what the
model emits itself, and, in the share ``own`` of all steps, of the past what it emitted in a pass before; there the only
loss is that of the masks. And checkpoints are chosen by free-running SI-SDR.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from streamsep.codec.stft import STFT
from streamsep.condition.guide import log_masks
from streamsep.config import LOOKAHEADS, STEMS
from streamsep.errors import OptionError
from streamsep.lm import LIVE, Corruption, corrupt_history, generate, history, targets
from streamsep.model.fuse import guide_envelopes, token_masks
from streamsep.model.net import Net, delay
from streamsep.model.trunk import TrunkOutput
from streamsep.train.batches import Spectra, spectra
from streamsep.train.codec import encode_stems
from streamsep.train.losses import SHARE, SNR_WINDOW, BandStatistics, band_statistics, mask_loss
from streamsep.train.precision import autocast, training_dtype
from streamsep.train.recipe import StageConfig
from streamsep.train.record import TrunkPass
from streamsep.train.stage import draw_lookahead
from streamsep.train.validation import ValidationSongs

SCORED: tuple[str, ...] = ("soft", "guide", "fused")


@dataclass(frozen=True)
class _Heard:
    """What a step learns from: ``codes`` [B, T, S, q] and where they are ``valid`` [B, T], the ``guide``'s envelopes
    [B, T, S, 240], and the statistics of all frames."""

    codes: Tensor
    valid: Tensor
    guide: Tensor
    stats: BandStatistics


def taught(batch: int) -> int:
    """So many rows of a batch are teacher-forced; those after them are fed what the model emits."""
    return batch // 2


class LMStage:
    """Trains pool, language model and fusion of a :class:`Net`, and its trunk if asked to; the codec stays as it is."""

    def __init__(self, module: Net, config: StageConfig, valid: ValidationSongs | None) -> None:
        self.module, self.config, self.valid = module, config, valid
        self.stft = STFT()
        self.joint = config.options.get("joint", 0.0)
        module.trunk.requires_grad_(self.joint > 0)
        module.codec.requires_grad_(False)
        self._pass: TrunkPass | None = None
        module.share_tables()
        self.corruption = Corruption(drop=config.options.get("drop", Corruption().drop))
        self._shown: Tensor | None = None  # masks of the first held-out song, from the last scoring
        self.span = int(config.options.get("span", SNR_WINDOW))  # frames a sequence that depth is trained on
        least = self.span + 1 + max(LOOKAHEADS)
        if config.batch < 2 or config.frames < least:  # of a batch, one half remembers the truth, the other itself
            raise OptionError(
                f"the stage lm learns from batches of 2 and {least} frames at least, not of {config.batch} and "
                f"{config.frames}; change the recipe."
            )

    def loss(self, waves: Tensor, generator: torch.Generator, progress: float = 0.0) -> tuple[Tensor, dict[str, float]]:
        net, found = self.module, spectra(waves, self.stft.to(waves.device))
        net.trunk.train(self.joint > 0)
        net.codec.eval()
        lookahead = draw_lookahead(waves.shape[0], self.config.lookahead_odds, generator).to(waves.device)
        dtype = training_dtype(self.config.precision, waves.device)
        if self._pass is None:
            self._pass = TrunkPass(net.trunk, dtype, self.config.compile, waves.device)
        with torch.set_grad_enabled(self.joint > 0):
            trunk = self._pass(found.mixture, lookahead)
        trunk = TrunkOutput(trunk.tokens, trunk.level.detach(), trunk.logits.float())
        logs = log_masks(trunk.logits)
        heard = self._hear(found, trunk, logs, lookahead, generator)
        with autocast(dtype, waves.device):
            ce, logits, at = self._tokens(heard, trunk, lookahead, generator)
        latent, entropy = net.posterior(logits.float())
        envelopes = net.codec.semantic.decode(latent)
        own = slice(taught(waves.shape[0]), None)
        keep, ok = heard.stats.at(at).at(own), heard.valid[at][own]
        soft = mask_loss(token_masks(envelopes)[own], keep, ok)
        fused = mask_loss(net.fuse(trunk.logits[at], envelopes, entropy)[own], keep, ok)
        share = self.config.options.get("share", SHARE)
        loss = ce + self.config.options.get("mask", 0.2) * (soft.total(share) + fused.total(share))
        parts = {"ce": ce, "soft": soft.share, "fused": fused.share, "entropy": entropy.mean()}
        if self.joint:
            guide = mask_loss(logs, heard.stats, heard.valid)
            loss, parts = loss + self.joint * guide.total(share), {**parts, "guide": guide.share}
        return loss, {name: float(value.detach()) for name, value in parts.items()}

    @torch.no_grad()
    def _hear(
        self, found: Spectra, trunk: TrunkOutput, logs: Tensor, lookahead: Tensor, generator: torch.Generator
    ) -> _Heard:
        net = self.module
        acoustic = float(torch.rand((), generator=generator)) < self.config.options.get("acoustic_share", 0.0)
        books = net.codec.cfg.codebooks if acoustic else net.codec.cfg.semantic_codebooks
        codes, valid = targets(encode_stems(net.codec, found.stems, trunk.level, books), lookahead)
        level = delay(trunk.level, lookahead, 1e-9)
        guide = guide_envelopes(logs, delay(found.mixture, lookahead), level)
        return _Heard(codes, valid, guide, band_statistics(found).aligned(lookahead)[0])

    def _tokens(
        self, heard: _Heard, trunk: TrunkOutput, lookahead: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Cross-entropy, logits [B, span, S, q, K], and where in [B, T] they are."""
        net, codes, guide = self.module, heard.codes, heard.guide
        span = self._span(lookahead, codes.shape[1], generator)
        past, present = self._past(codes, lookahead, generator)
        c = net.pool(trunk.tokens.transpose(1, 2))
        half = taught(codes.shape[0])
        if float(torch.rand((), generator=generator)) < self.config.options.get("own", 0.0):
            passes = int(torch.randint(1, 3, (), generator=generator))
            own = self._own_past(c[half:].detach(), guide[half:], lookahead[half:], passes)
            past, present = (torch.cat((x[:half], y)) for x, y in zip((past, present), own, strict=True))
        h = net.lm.temporal(c, net.lm.embed(past, present), lookahead)
        at = torch.arange(codes.shape[0], device=codes.device)[:, None], span
        ce, logits = self._depth(h[at], guide[at], codes[at])
        return ce, logits, at

    def _past(self, codes: Tensor, lookahead: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What each step remembers, damaged: latents [B, T, S, C] and presence [B, T, S]."""
        lm = self.module.lm
        noise = torch.Generator(codes.device).manual_seed(int(torch.randint(1 << 40, (), generator=generator)))
        damaged, known = corrupt_history(codes, lm.tables.vectors.shape[1], noise, self.corruption)
        past, begun = history(damaged, lookahead)
        before = torch.cat((known[:, :1], known[:, :-1]), 1)
        return lm.tables.latent(past), before & begun.unsqueeze(-1)

    @torch.no_grad()
    def _own_past(self, c: Tensor, guide: Tensor, lookahead: Tensor, passes: int) -> tuple[Tensor, Tensor]:
        """What each step remembers that is fed what it emits: latents [B, T, S, C] and presence [B, T, S].

        Steps run side by side, so they remember what they emitted in the pass before, in the first one without a memory
        (parallel scheduled sampling, Duckworth et al., arXiv 1906.04331).
        """
        lm, (batch, length) = self.module.lm, c.shape[:2]
        past = c.new_zeros(batch, length, len(STEMS), lm.tables.vectors.shape[-1])
        present = torch.zeros(batch, length, len(STEMS), dtype=torch.bool, device=c.device)
        for _ in range(passes):
            h = lm.temporal(c, lm.embed(past, present), lookahead)
            emitted = generate(lm.depth, h.flatten(0, 1), guide.flatten(0, 1), LIVE)
            past, begun = history(emitted.latent.unflatten(0, (batch, length)), lookahead)
            present = begun.unsqueeze(-1).expand_as(present)
        return past, present

    def _span(self, lookahead: Tensor, length: int, generator: torch.Generator) -> Tensor:
        """``[B, span]`` steps, in one piece, that all emit frames of the sequence."""
        first = torch.tensor(LOOKAHEADS)[lookahead.cpu()].clamp(min=0)
        room = length - 1 - self.span - first
        start = first + (torch.rand(len(lookahead), generator=generator) * (room + 1)).long()
        return (start[:, None] + torch.arange(self.span)).to(lookahead.device)

    def _depth(self, h: Tensor, guide: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the teacher-forced half, and logits [B, span, S, q, K] of both halves."""
        depth = self.module.lm.depth
        batch, span = codes.shape[:2]
        half = taught(batch)
        flat, cut = codes.flatten(0, 1), half * span
        tables = depth.tables
        decoding = replace(LIVE, codebooks=codes.shape[-1])
        emitted = generate(depth, h[half:].flatten(0, 1).detach(), guide[half:].flatten(0, 1), decoding)
        own = torch.einsum("nsqk,qkc->nsqc", emitted.logits.softmax(-1), tables.vectors[: codes.shape[-1]])
        fed = torch.cat([tables.lookup(flat[:cut]), own])
        logits = depth(h.flatten(0, 1), guide.flatten(0, 1), fed)
        ce = F.cross_entropy(logits[:cut].flatten(0, -2), flat[:cut].flatten())
        return ce, logits.unflatten(0, (batch, span))

    def score(self) -> dict[str, float]:
        if self.valid is None:
            return {"score": 0.0}
        songs = [song.mixture for song in self.valid]
        self.module.select_kernels(songs[0].device.type)
        longest = max(song.shape[1] for song in songs)
        # All songs side by side; what is silent behind a song's end changes nothing before it.
        padded = torch.cat([F.pad(song, (0, 0) * 3 + (0, longest - song.shape[1])) for song in songs])
        found = free_run(self.module, padded, 0, SCORED)
        means = {
            name: self.valid.improvement(masks[i : i + 1, : song.shape[1]] for i, song in enumerate(songs))["mean"]
            for name, masks in found.items()
        }
        self._shown = found["fused"][:1, : songs[0].shape[1]]
        return {"score": means["fused"], **means}

    def picture(self, path: Path) -> None:
        if self.valid is not None and self._shown is not None:
            self.valid.picture(path, self._shown)

    def sample(self, path: Path) -> None:
        if self.valid is not None and self._shown is not None:
            self.valid.sample(path, self._shown)


@torch.no_grad()
def free_run(net: Net, mixture: Tensor, k: int, decodes: tuple[str, ...]) -> dict[str, Tensor]:
    """Run the net as it runs live, fed only what it emits itself.

    ``mixture`` [B, T, 2, 2, 961] complex → for every decoding, masks by frame [B, T, S, 2, 2, 120] (for k > 0 the last
    frames, for k < 0 the first are not covered and hold others).
    """
    batch, length = mixture.shape[:2]
    state = net.init_state(batch, mixture.device)
    lookahead = torch.full((batch,), LOOKAHEADS.index(k), device=mixture.device)
    found: dict[str, list[Tensor]] = {name: [] for name in decodes}
    for t in range(length):
        out = net.step(mixture[:, t], lookahead, state, decodes=decodes, decoding=LIVE)
        for name in decodes:
            found[name].append(out.masks[name])
    return {name: torch.stack(masks, 1).roll(-k, 1) for name, masks in found.items()}
