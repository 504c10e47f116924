"""Latents of both paths → a stem's columns: log magnitude and phase, ready for the inverse STFT.

Magnitudes are the semantic envelope, shared between mid and side, times learned detail. The mid's phase follows the
column before, turned by a learned rotation in a frame that turns with each bin, and where something begins it is set
anew; the side's phase is told relative to the mid's. So a tone runs on from token to token without tokens having to
say its phase.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from streamsep.codec.blocks import ConvNeXt
from streamsep.codec.envelope import envelope_power
from streamsep.codec.phase import pair, quietness, rotate_to_next, unit
from streamsep.condition.bands import band_of_bin
from streamsep.config import BINS, ENVELOPES, SUBFRAMES, TRUNK_BANDS, CodecConfig, trunk_edges
from streamsep.streaming import State, StreamModule

# Per bin and subframe: log detail of mid and side, rotation (2), hold (1), fresh phase (2), side against mid (2).
CHANNELS = 9
_SIDE_SHARE = 0.1  # of a band's power, before anything is learned
_MOST_DETAIL = 6.0  # nepers
_MOST_HOLD = 0.99  # below one, so that a phase that faded out always comes back
_FAINTEST = 1e-10  # power of a bin relative to the level, -100 dB


class BandSpread(nn.Module):
    """One linear map per trunk band, ``width`` in, the band's bins and channels out: the way back of ``BandLinear``.

    Starts at its bias alone. Bands of equal width share one batched matrix product.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        edges = trunk_edges()
        widths = [b - a for a, b in zip(edges, edges[1:], strict=False)]
        self.channels = channels
        self.groups: list[tuple[int, int, int]] = []  # first band, bands, bins of a band
        for first, bins in enumerate(widths):
            if first and bins == widths[first - 1]:
                start, count, _ = self.groups[-1]
                self.groups[-1] = (start, count + 1, bins)
            else:
                self.groups.append((first, 1, bins))
        self.weights = nn.ParameterList(
            nn.Parameter(torch.zeros(count, width, bins * channels)) for _, count, bins in self.groups
        )
        self.bias = nn.Parameter(torch.zeros(BINS, channels))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [M, 30, width] → [M, 961, channels]."""
        out: list[Tensor] = []
        for (first, count, _), weight in zip(self.groups, self.weights, strict=True):
            rows = torch.bmm(x[:, first : first + count].transpose(0, 1), weight.to(x.dtype))
            out.append(rows.transpose(0, 1).reshape(len(x), -1, self.channels))
        return torch.cat(out, 1) + self.bias


@dataclass(frozen=True)
class Parts:
    """What the net says about columns, [..., 2 subframes, 961] each, phases as complex numbers of length one.

    ``magnitude`` [..., 2 sides, 2 subframes, 961]; ``turn`` of the mid beyond the bin centre's own; ``hold`` in 0 … 1,
    how far the phase follows the column before; ``fresh`` phase that it follows otherwise; ``side`` against mid.
    """

    magnitude: Tensor
    turn: Tensor
    hold: Tensor
    fresh: Tensor
    side: Tensor

    def phase(self, before: Tensor) -> Tensor:
        """[..., 2, 961] phase of each mid column, given the faded phase of the true one before it (in training)."""
        return follow(before, self.turn, self.hold, self.fresh)


def follow(before: Tensor, turn: Tensor, hold: Tensor, fresh: Tensor) -> Tensor:
    """One column's mid phase: ``hold`` of the turned column before, the rest fresh; of length one."""
    return unit(hold * turn * rotate_to_next(before) + (1.0 - hold) * fresh)


class Decoder(StreamModule):
    """Latents and envelopes → columns."""

    def __init__(self, cfg: CodecConfig) -> None:
        super().__init__()
        self.width = cfg.band_width
        self.enter = nn.Linear(2 * cfg.code_dim, cfg.acoustic_dim)
        self.blocks = ConvNeXt(cfg.acoustic_dim, cfg.ff_mult, cfg.kernel, cfg.decoder_layers)
        self.norm = nn.RMSNorm(cfg.acoustic_dim)
        self.unfold = nn.Linear(cfg.acoustic_dim, TRUNK_BANDS * cfg.band_width)
        self.spread = BandSpread(cfg.band_width, SUBFRAMES * CHANNELS)
        self.register_buffer("band", band_of_bin(), persistent=False)
        start = [0.5 * math.log(1 - _SIDE_SHARE), 0.5 * math.log(_SIDE_SHARE), 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0]
        with torch.no_grad():
            self.spread.bias.copy_(torch.tensor(start * SUBFRAMES))

    band: Tensor

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("phase", BINS, dtype=torch.complex64, device=device)
        state.nest("blocks", self.blocks.init_state(slots, device))
        return state

    def hidden(self, semantic: Tensor, acoustic: Tensor) -> Tensor:
        """``semantic``, ``acoustic`` latents [B, T, C] → [B, T, dim], all that a frame's columns are made from."""
        return self.blocks(self.enter(torch.cat([semantic, acoustic], -1)))

    def forward(self, semantic: Tensor, acoustic: Tensor, env: Tensor, level: Tensor) -> Tensor:
        """Decode.

        Args:
            semantic, acoustic: [B, T, C] latents.
            env: [B, T, 240] log envelopes.
            level: [B, T] mean square of the mixture.

        Returns columns [B, T, 2 sides, 2 subframes, 961] complex.
        """
        parts = self.parts(self.hidden(semantic, acoustic), env, level)
        before = torch.zeros_like(parts.turn[:, 0, 0])
        frames: list[Tensor] = []
        for t in range(level.shape[1]):
            one = Parts(*(getattr(parts, name)[:, t] for name in parts.__dataclass_fields__))
            columns, before = self._columns(one, before, level[:, t])
            frames.append(columns)
        return torch.stack(frames, 1)

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, semantic: Tensor, acoustic: Tensor, env: Tensor, level: Tensor, state: State, active: Tensor | None = None
    ) -> Tensor:
        """One frame: ``semantic``, ``acoustic`` [B, C], ``env`` [B, 240], ``level`` [B] → [B, 2, 2, 961] complex."""
        x = self.enter(torch.cat([semantic, acoustic], -1))
        parts = self.parts(self.blocks.step(x, state.child("blocks"), active), env, level)
        columns, before = self._columns(parts, state["phase"], level)
        state.put("phase", before, active)
        return columns

    def parts(self, x: Tensor, env: Tensor, level: Tensor) -> Parts:
        """``x`` [..., dim] from :meth:`hidden`, ``env`` [..., 240], ``level`` [...] → parts of each frame."""
        lead = x.shape[:-1]
        hidden = F.gelu(self.unfold(self.norm(x))).reshape(-1, TRUNK_BANDS, self.width)
        out = self.spread(hidden).float().view(*lead, BINS, SUBFRAMES, CHANNELS).transpose(-2, -3)
        power = envelope_power(env).unflatten(-1, (SUBFRAMES, ENVELOPES)).index_select(-1, self.band)
        amplitude = (power.clamp(min=_FAINTEST) * (level * BINS)[..., None, None]).sqrt()
        detail = out[..., :2].clamp(-_MOST_DETAIL, _MOST_DETAIL).exp()
        return Parts(
            magnitude=amplitude.unsqueeze(-3) * torch.stack([detail[..., 0], detail[..., 1]], -3),
            turn=pair(out[..., 2:4]),
            hold=_MOST_HOLD * torch.sigmoid(out[..., 4]),
            fresh=pair(out[..., 5:7]),
            side=pair(out[..., 7:9]),
        )

    @staticmethod
    def _columns(parts: Parts, before: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """A frame's columns [B, 2, 2, 961] from its parts and the faded mid phase before it; and that of its last."""
        quiet = quietness(level)[..., None]
        phases: list[Tensor] = []
        for i in range(SUBFRAMES):
            phase = follow(before, parts.turn[:, i], parts.hold[:, i], parts.fresh[:, i])
            loudness = parts.magnitude[:, 0, i]
            before = phase * (loudness / (loudness + quiet))
            phases.append(phase)
        mid = torch.stack(phases, 1)
        return parts.magnitude * torch.stack([mid, mid * parts.side], 1), before
