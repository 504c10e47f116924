"""Guide masks and token envelopes → final masks. Knows bands and stems; knows nothing of codes or time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from streamsep.condition.bands import band_sum, band_widths
from streamsep.condition.guide import SIDES
from streamsep.config import BINS, ENVELOPES, STEMS, SUBFRAMES

# A log envelope is (log10(mean power a bin, relative to the level, + FLOOR) + 2) / 3: see streamsep.codec.envelope.
_FLOOR = 1e-6
_SHIFT, _SCALE = 2.0, 3.0


def natural_log_power(envelopes: Tensor) -> Tensor:
    """Log envelopes [..., 240] → natural log of the power, [..., 1 side, 2 subframes, 120], floored at -60 dB."""
    return ((envelopes.float() * _SCALE - _SHIFT) * math.log(10.0)).unflatten(-1, (1, SUBFRAMES, ENVELOPES))


def token_masks(envelopes: Tensor) -> Tensor:
    """Masks from tokens alone, as logs: each stem's share of the power of [..., S, 240] → [..., S, 2, 2, 120].

    Both sides get the same mask: tokens say how loud a stem is, not where it stands.
    """
    shares = torch.log_softmax(natural_log_power(envelopes), -4)
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
    scale = (level * BINS)[..., None, None, None] * band_widths(level.device)
    return ((torch.log10(energy / scale + _FLOOR) + _SHIFT) / _SCALE).flatten(-2)


class Fuse(nn.Module):
    """Blend of guide and tokens in the log domain, trusting tokens by stem, band and the language model's certainty.

        logits = guide · g + w · exponent · ln(token power),   w = sigmoid(trust + slope · (entropy - usual entropy))

    It starts by trusting mostly the guide: w = sigmoid(-1), and g such that both together weigh one.
    """

    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        start = 1 / (1 + math.e)
        self.guide = nn.Parameter(torch.tensor(1 - start))
        self.exponent = nn.Parameter(torch.ones(len(STEMS)))
        self.trust = nn.Parameter(torch.full((len(STEMS), ENVELOPES), -1.0))
        self.slope = nn.Parameter(torch.zeros(len(STEMS)))
        self.register_buffer("usual", torch.full((len(STEMS),), 3.0))  # nats: about half of log(512)

    def weight(self, entropy: Tensor) -> Tensor:
        """``entropy`` [..., S] in nats → how far tokens are trusted, [..., S, 120] in 0 … 1."""
        return torch.sigmoid(self.trust + (self.slope * (entropy - self.usual)).unsqueeze(-1))

    def forward(self, guide_logits: Tensor, envelopes: Tensor, entropy: Tensor) -> Tensor:
        """Fuse.

        Args:
            guide_logits: [..., S, 2 sides, 2 subframes, 120].
            envelopes: [..., S, 240] log envelopes that the tokens stand for.
            entropy: [..., S] of the language model, nats.

        Returns:
            log masks, the shape of ``guide_logits``; their exp sums to one over S.
        """
        weight = (self.weight(entropy) * self.exponent.unsqueeze(-1)).unsqueeze(-2).unsqueeze(-2)
        logits = self.guide * guide_logits.float() + weight * natural_log_power(envelopes)
        return torch.log_softmax(logits, -4)
