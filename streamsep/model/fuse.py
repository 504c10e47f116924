"""Guide masks and token envelopes → final masks. Knows bands and stems; knows nothing of codes or time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from kernels.reference.fuse_masks import FuseWeights
from streamsep.codec.envelope import energy_envelopes, natural_log_power
from streamsep.condition.bands import band_sum
from streamsep.condition.guide import SIDES
from streamsep.config import ENVELOPES, STEMS, SUBFRAMES
from streamsep.streaming.held import Held


def token_power(envelopes: Tensor) -> Tensor:
    """Log envelopes [..., 240] → natural log of the power, [..., 1 side, 2 subframes, 120], floored at -60 dB."""
    return natural_log_power(envelopes).unflatten(-1, (1, SUBFRAMES, ENVELOPES))


def token_masks(envelopes: Tensor) -> Tensor:
    """Masks from tokens alone, as logs: each stem's share of the power of [..., S, 240] → [..., S, 2, 2, 120].

    Both sides get the same mask: tokens say how loud a stem is, not where it stands.
    """
    shares = torch.log_softmax(token_power(envelopes), -4)
    return shares.expand(*shares.shape[:-3], SIDES, *shares.shape[-2:])


def guide_envelopes(log_masks: Tensor, spectrum: Tensor, level: Tensor) -> Tensor:
    """The guide's estimate of each stem's log envelopes: mask² × the mixture's energy a band, both sides together.

    Args:
        log_masks: [..., S, 2 sides, 2 subframes, 120].
        spectrum: [..., 2 sides, 2 subframes, 961] complex, of the same frame.
        level: [...] mean square, of the same frame.

    Returns:
        [..., S, 240] float32, subframe-major, in the scale of ``streamsep.codec.envelope.log_envelopes``.
    """
    mixture = band_sum(torch.view_as_real(spectrum).square().sum(-1)).unsqueeze(-4)
    energy = ((2 * log_masks.float()).exp() * mixture).sum(-3)  # [..., S, 2, 120]
    return energy_envelopes(energy, level.unsqueeze(-1))


class Fuse(nn.Module):
    """Blend of guide and tokens in the log domain, trusting tokens by stem, side, band and how sure the model is.

        logits = guide · g + w · exponent · ln(token power),   w = sigmoid(trust + slope · (entropy - usual entropy))

    It starts by trusting mostly the guide: w = sigmoid(-1), and g such that both together weigh one.
    """

    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        start = 1 / (1 + math.e)
        self.guide = nn.Parameter(torch.tensor(1 - start))
        self.exponent = nn.Parameter(torch.ones(len(STEMS)))
        self.trust = nn.Parameter(torch.full((len(STEMS), SIDES, ENVELOPES), -1.0))
        self.slope = nn.Parameter(torch.zeros(len(STEMS)))
        self.register_buffer("usual", torch.full((len(STEMS),), 3.0))  # nats: about half of log(512)
        self.weights = Held(self, self._gather)  # for the op ``fuse_masks``

    def weight(self, entropy: Tensor) -> Tensor:
        """``entropy`` [..., S] in nats → how far tokens are trusted, [..., S, 2 sides, 120] in 0 … 1."""
        return torch.sigmoid(self.trust + (self.slope * (entropy - self.usual))[..., None, None])

    def forward(self, guide_logits: Tensor, envelopes: Tensor, entropy: Tensor) -> Tensor:
        """Fuse.

        Args:
            guide_logits: [..., S, 2 sides, 2 subframes, 120].
            envelopes: [..., S, 240] log envelopes that the tokens stand for.
            entropy: [..., S] of the language model, nats.

        Returns:
            log masks, the shape of ``guide_logits``; their exp sums to one over S.
        """
        weight = (self.weight(entropy) * self.exponent[:, None, None]).unsqueeze(-2)  # [..., S, 2, 1, 120]
        logits = self.guide * guide_logits.float() + weight * token_power(envelopes)
        return torch.log_softmax(logits, -4)

    def _gather(self) -> FuseWeights:
        return FuseWeights(self.guide, self.exponent, self.trust, self.slope, self.usual)
