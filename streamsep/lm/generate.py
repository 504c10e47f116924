"""Emit the codes of a frame with the depth transformer, all in one op. Knows one frame, not its neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.reference import Choice, Emitted, depth_decode
from kernels.reference.depth_entry import depth_entry
from kernels.reference.posterior_mean import posterior_mean
from streamsep.config import STEMS
from streamsep.lm.depth import DepthTransformer
from streamsep.lm.sampling import GREEDY, Decoding


@dataclass
class Kernels:
    """What emits codes: implementations of ``depth_entry``, ``depth_decode`` and ``posterior_mean``."""

    entry: Callable[..., Tensor] = depth_entry
    decode: Callable[..., Emitted] = depth_decode
    mean: Callable[..., tuple[Tensor, Tensor]] = posterior_mean


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
    kernels: Kernels | None = None,
) -> Frame:
    """Emit the codes of N frames.

    Args:
        h: ``[N, D]``; guide: ``[N, S, 240]`` or None.
        decoding: how codes are chosen, see :class:`Decoding`.
        seed, frame: ``[N]`` int64, of the slot and its position; needed when temperature > 0.
        forced: ``[N, S, q]`` codes to emit instead of the chosen ones.
        kernels: what it runs on; plain torch when None.
    """
    kernels = kernels or Kernels()
    codebooks = decoding.codebooks or depth.semantic
    known = kernels.entry(depth.entry_weights(), h, guide, codebooks)  # [N, S·q, D]
    emitted = kernels.decode(
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
    return Frame(codes, *kernels.mean(logits, depth.tables.vectors[: min(depth.semantic, codebooks)]), logits)
