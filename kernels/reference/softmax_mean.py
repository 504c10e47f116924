"""Posterior mean of a code vector. Knows logits and code tables; knows nothing of how either came about.

    p    = softmax(logits / temperature)
    mean = Σ_k p_k · table[k]
    H    = -Σ_k p_k · ln p_k

The entropy H is in nats.
"""

from __future__ import annotations

from torch import Tensor

from kernels.reference.case import Case, Cost


def softmax_mean(logits: Tensor, table: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean of the code vectors under the model's posterior, and the posterior's entropy.

    Args:
        logits: ``[..., K]``.
        table: ``[K, C]`` code vectors.
        temperature: > 0.

    Returns ``(mean [..., C], entropy [...] in nats)``.
    """
    log_p = (logits.float() / temperature).log_softmax(-1)
    p = log_p.exp()
    return p.to(table.dtype) @ table, -(p * log_p).sum(-1)


def cases() -> list[Case]:
    return [Case("tiny frame", {"rows": 16, "codes": 512, "dim": 64})]


def cost(rows: int, codes: int, dim: int) -> Cost:
    return Cost(flops=2 * rows * codes * dim + 8 * rows * codes, bytes=4 * (rows * codes + codes * dim + rows * dim))
