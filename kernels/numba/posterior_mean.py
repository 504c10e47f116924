"""Means of code vectors on the CPU. Contract and formula: `kernels.reference.posterior_mean`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit, part
from kernels.numba.exponential import exp
from kernels.numba.linear import add_rows

_NEVER = np.float32(-1e4)  # what is impossible adds nothing to an entropy, though its logarithm is -infinity


def posterior_mean(logits: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`kernels.reference.posterior_mean`; float32 CPU tensors only (TypeError), no gradients."""
    if (logits.dtype, vectors.dtype, logits.device.type) != (torch.float32, torch.float32, "cpu"):
        raise TypeError(f"posterior_mean of numba takes float32 on the CPU, got {logits.dtype} on {logits.device}")
    latent = torch.zeros(*logits.shape[:2], vectors.shape[2])
    entropy = torch.empty(logits.shape[:2])
    _means(array(logits), array(vectors), latent.numpy(), entropy.numpy())
    return latent, entropy


@jit
def _means(
    logits: Any,  # [N, S, Q, K]
    vectors: Any,  # [q, K, C]
    latent: Any,  # [N, S, C], zeros
    entropy: Any,  # [N, S]
) -> None:
    frames, stems, _, size = logits.shape
    books, _, width = vectors.shape
    p = np.empty((stems, size), np.float32)
    for n in range(frames):
        entropy[n] = np.float32(0)
        for q in range(books):
            for s in range(stems):
                entropy[n, s] += _softmax(logits[n, s, q], p[s]) / np.float32(books)
            # A sum for each codebook: what is added to a long one is rounded to the places of all before it.
            mean = np.zeros((stems, width), np.float32)
            add_rows(p, vectors[q], mean)
            for s in range(stems):
                for i in range(width):
                    latent[n, s, i] += mean[s, i]


@part
def _softmax(row: Any, p: Any) -> Any:
    """p = softmax(row); its entropy."""
    top = row[0]
    for k in range(1, row.shape[0]):
        top = max(top, row[k])
    total, moment = np.float32(0), np.float32(0)
    for k in range(row.shape[0]):
        below = row[k] - top
        p[k] = exp(below)
        total += p[k]
        moment += p[k] * max(below, _NEVER)
    for k in range(row.shape[0]):
        p[k] /= total
    return np.float32(math.log(total)) - moment / total
