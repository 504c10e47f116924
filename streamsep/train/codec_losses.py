"""Losses of codec training. Knows what the codec puts out and how audible it is; knows nothing of optimizers and data.

Semantic stage: envelopes, and the masks that follow from them. Acoustic stage: bins, with the semantic path at rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from streamsep.codec.decoder import Parts
from streamsep.codec.envelope import DB_PER_UNIT, ENVELOPE_FEATURES, FLOOR, envelope_power
from streamsep.codec.model import Codec
from streamsep.codec.phase import quietness, unit
from streamsep.codec.quantizer import ResidualVQ
from streamsep.codec.semantic import sounding
from streamsep.config import BINS

Stage = Literal["semantic", "acoustic"]
COMMITMENT = 0.25
_LEAST_WEIGHT = 0.02
_SEMANTIC_ONLY = 0.1  # of sequences in the acoustic stage: decoded without acoustic tokens
_HEAD_FRAMES = 768  # frames a step on which the decoder's bins are compared


def audibility(env: Tensor) -> Tensor:
    """Weight of log envelopes: next to nothing at -60 dB against the level, one from -30 dB up."""
    return (env - FLOOR).clamp(_LEAST_WEIGHT, 1.0)


def _mean(x: Tensor, weight: Tensor) -> Tensor:
    return (x * weight).sum() / weight.sum().clamp(min=1e-6)


def _masks(power: Tensor) -> Tensor:
    """Soft masks [..., S, 240] from powers, summing to at most one over stems."""
    return power / (power.sum(-2, keepdim=True) + 1e-6)


def semantic_loss(estimate: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of reconstructed teacher features, both [B, T, S, F], the 240 log envelopes first.

    Envelopes count where target or estimate is audible. Masks (each stem's share of the power of all) count where the
    mixture is: they are what envelopes are for, and care most about bands that stems contend for.

    Returns the loss and its parts: ``env_db`` mean error in dB, ``mask`` mean error of a mask, ``extra`` of the rest.
    """
    estimate = estimate.float()
    env, env_target = estimate[..., :ENVELOPE_FEATURES], target[..., :ENVELOPE_FEATURES]
    heard = audibility(torch.maximum(env.detach(), env_target))
    env_error = _mean((env - env_target).abs(), heard)
    power, power_target = envelope_power(env), envelope_power(env_target)
    mixture = (torch.log10(power_target.sum(-2, keepdim=True) + 1e-6) + 2.0) / 3.0
    weight = audibility(mixture).expand_as(env) * (mixture > FLOOR + 0.05)
    mask_error = _mean((_masks(power) - _masks(power_target)).abs(), weight)
    loss, parts = env_error + mask_error, {"env_db": DB_PER_UNIT * env_error, "mask": mask_error}
    if target.shape[-1] > ENVELOPE_FEATURES:
        rest = slice(ENVELOPE_FEATURES, None)
        parts["extra"] = F.l1_loss(estimate[..., rest], target[..., rest])
        loss = loss + 0.5 * parts["extra"]
    return loss, parts


def acoustic_loss(parts: Parts, target: Tensor, last: Tensor, level: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of decoded frames against true ones.

    Phases are judged one column ahead, given the true column before: what a decoder can know, and no recursion.

    Args:
        parts: of M frames, from ``Decoder.parts``.
        target: [M, 2 sides, 2 subframes, 961] complex columns.
        last: [M, 961] complex, the mid column before each frame.
        level: [M] mean square of the mixture.

    Returns the loss and its parts: ``bin_db`` mean error of a bin in dB; ``phase`` and ``side``, of the mid and of the
    side against the mid, 0 when right and 1 when guessed.
    """
    scale = (level * BINS).sqrt()[:, None, None, None]
    magnitude = (target.real.square() + target.imag.square() + 1e-20).sqrt()
    size, estimate = magnitude / scale, parts.magnitude / scale
    log, log_estimate = (torch.log10(x + 1e-4) for x in (size, estimate))
    heard = audibility((2.0 * torch.maximum(log, log_estimate.detach()) + 2.0) / 3.0)
    bin_db = 20.0 * _mean((log_estimate - log).abs(), heard)
    quiet = quietness(level)[:, None, None]
    mid = target[:, 0]
    before = unit(torch.stack([last, mid[:, 0]], 1), quiet)
    phase = _mean(_apart(parts.phase(before), mid), size[:, 0].sqrt())
    side = _mean(_apart(parts.side, target[:, 1] * mid.conj()), size.prod(1).sqrt())
    return bin_db / 10.0 + phase + 0.5 * side, {"bin_db": bin_db, "phase": phase, "side": side}


def _apart(phase: Tensor, target: Tensor) -> Tensor:
    """One minus the cosine between the directions of complex tensors."""
    right = unit(target, 1e-9)
    return 1.0 - (phase.real * right.real + phase.imag * right.imag)


def _log(parts: dict[str, Tensor], quantizer: ResidualVQ) -> dict[str, float]:
    log = {name: float(value.detach()) for name, value in parts.items()}
    return log | {f"perplexity_{q}": float(p) for q, p in enumerate(quantizer.perplexity())}


def codec_training_loss(
    codec: Codec,
    stems: Tensor,
    level: Tensor,
    stage: Stage,
    head_frames: int = _HEAD_FRAMES,
    masks: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Loss of one training batch; in training mode the stage's codebooks move.

    Args:
        codec: of which the stage's path (and in the acoustic stage the decoder) gets gradients, and nothing else.
        stems: [B, T, S, 2 sides, 2 subframes, 961] complex columns of the stems.
        level: [B, T] mean square of their mixture, from the level tracker.
        stage: ``semantic`` first, then ``acoustic``.
        head_frames: at most so many frames, drawn at random, are compared bin by bin (acoustic stage).
        masks: loss of the envelopes [B, T, S, 240] that tokens stand for, as masks, added to the others
            (semantic stage); logged as ``separation``.

    Returns the loss and numbers for the log: its parts, and ``perplexity_q`` of each of the stage's codebooks.
    Raises ValueError for another stage.
    """
    if stage == "semantic":
        return _semantic_stage(codec, stems, level, masks)
    if stage == "acoustic":
        return _acoustic_stage(codec, stems, level, head_frames)
    raise ValueError(f"the codec is trained in the stages semantic and acoustic, not '{stage}'")


def _semantic_stage(
    codec: Codec, stems: Tensor, level: Tensor, masks: Callable[[Tensor], Tensor] | None
) -> tuple[Tensor, dict[str, float]]:
    with torch.no_grad():
        features = codec.teacher(stems, level.unsqueeze(-1))
    out = codec.semantic(features)
    loss, parts = semantic_loss(out.features, features)
    loss = loss + COMMITMENT * out.quantized.loss
    if masks is not None:
        parts["separation"] = masks(out.features[..., :ENVELOPE_FEATURES])
        loss = loss + parts["separation"]
    parts |= {"commitment": out.quantized.loss, "loss": loss}
    return loss, _log(parts, codec.semantic.quantizer)


def _acoustic_stage(codec: Codec, stems: Tensor, level: Tensor, head_frames: int) -> tuple[Tensor, dict[str, float]]:
    batch, _, count = stems.shape[:3]
    spectrum = stems.transpose(1, 2).flatten(0, 1)  # [B·S, T, 2, 2, 961]
    level = level.repeat_interleave(count, 0)
    with torch.no_grad():
        features = codec.teacher(spectrum, level)
        semantic = codec.semantic.quantizer.decode(codec.semantic.encode(features))
        env = codec.semantic.decode(semantic)
    quantized = codec.acoustic(spectrum, level, sounding(features))
    given = torch.rand(batch * count, 1, 1, device=level.device) >= _SEMANTIC_ONLY
    hidden = codec.decoder.hidden(semantic, quantized.latent * given).flatten(0, 1)
    last = F.pad(torch.view_as_real(spectrum[:, :-1, 0, -1]), (0, 0, 0, 0, 1, 0))
    pick = torch.randperm(len(hidden), device=hidden.device)[:head_frames]
    rows = (x.flatten(0, 1)[pick] for x in (env, level, spectrum, torch.view_as_complex(last)))
    env_rows, level_rows, target, before = rows
    loss, parts = acoustic_loss(codec.decoder.parts(hidden[pick], env_rows, level_rows), target, before, level_rows)
    loss = loss + COMMITMENT * quantized.loss
    parts |= {"commitment": quantized.loss, "loss": loss}
    return loss, _log(parts, codec.acoustic.quantizer)
