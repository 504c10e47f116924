"""Emit the codes of a frame with the depth transformer, all in one op. Knows one frame, not its neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.reference import Choice, Emitted, depth_decode
from streamsep.config import STEMS
from streamsep.lm.depth import DepthTransformer
from streamsep.lm.sampling import GREEDY, Decoding

DepthDecode = Callable[..., Emitted]


@dataclass(frozen=True)
class Frame:
    """The emitted codes of N frames."""

    codes: Tensor  # [N, S, q] int64
    latent: Tensor  # [N, S, C]: sum of the posterior-mean vectors of the semantic codebooks
    entropy: Tensor  # [N, S]: mean over the semantic codebooks, nats
    logits: Tensor  # [N, S, q, K]


@torch.no_grad()
def generate(
    depth: DepthTransformer,
    h: Tensor,
    guide: Tensor | None,
    decoding: Decoding = GREEDY,
    seed: Tensor | None = None,
    frame: Tensor | None = None,
    forced: Tensor | None = None,
    kernel: DepthDecode = depth_decode,
) -> Frame:
    """Emit the codes of N frames.

    Args:
        h: ``[N, D]``; guide: ``[N, S, 240]`` or None.
        decoding: how codes are chosen, see :class:`Decoding`.
        seed, frame: ``[N]`` int64, of the slot and its position; needed when temperature > 0.
        forced: ``[N, S, q]`` codes to emit instead of the chosen ones.
        kernel: implementation of ``kernels.reference.depth_decode``.
    """
    codebooks = decoding.codebooks or depth.semantic
    known = (depth.frame(h, guide).unsqueeze(2) + depth.place[:, :codebooks]).flatten(1, 2)  # [N, S·q, D]
    emitted = kernel(
        depth.weights(),
        depth.blocks[0].attention.heads,
        depth.tables.vectors,
        depth.tables.scale,
        depth.plan(codebooks, h.device).decode,
        known,
        Choice(decoding.temperature, decoding.top_k, decoding.within == "soft"),
        seed,
        frame,
        None if forced is None else forced.flatten(1),
    )
    codes, logits = (each.unflatten(1, (len(STEMS), codebooks)) for each in emitted)
    return Frame(codes, *_posterior(depth, logits[:, :, : depth.semantic]), logits)


def _posterior(depth: DepthTransformer, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Semantic latent ``[N, S, C]`` and mean entropy ``[N, S]`` of semantic logits ``[N, S, q, K]``.

    ``softmax_mean`` of every codebook, summed: one product with the stacked code tables.
    """
    log_p = logits.float().log_softmax(-1)
    p = log_p.exp()
    latent = p.flatten(2) @ depth.tables.vectors[: logits.shape[2]].flatten(0, 1)
    return latent, -(p * log_p).sum(-1).mean(-1)
