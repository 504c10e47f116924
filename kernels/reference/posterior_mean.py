"""What a frame's logits stand for: the mean of the code vectors under them. Knows logits and code tables, no layers.

p = softmax(logits of a codebook);   latent = Σ_q Σ_k p_k · vectors[q, k];   entropy = mean_q (-Σ_k p_k · ln p_k)
"""

from __future__ import annotations

from torch import Tensor

from kernels.reference.case import Case, Cost


def posterior_mean(logits: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Latents and how unsure the model is of them.

    Args:
        logits: ``[..., Q, K]``, in a step ``[N, S, Q, K]``; only the codebooks that ``vectors`` has are looked at.
        vectors: ``[q, K, C]``, q <= Q.

    Returns ``(latent [..., C], entropy [...] in nats)``, in the type of ``vectors``.
    """
    log_p = logits[..., : len(vectors), :].to(vectors.dtype).log_softmax(-1)
    p = log_p.exp()
    return p.flatten(-2) @ vectors.flatten(0, 1), -(p * log_p).sum(-1).mean(-1)


def cases() -> list[Case]:
    sizes = {"stems": 4, "books": 4, "codes": 512, "width": 64}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, stems: int, books: int, codes: int, width: int) -> Cost:
    rows = slots * stems
    return Cost(
        flops=rows * books * codes * (2 * width + 8),
        bytes=4 * (rows * (books * codes + width + 1) + books * codes * width),
    )
