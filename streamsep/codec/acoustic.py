"""Acoustic path: a stem's columns → tokens for what an envelope leaves out: partials, width, phase. Knows columns."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from streamsep.codec.blocks import ConvNeXt
from streamsep.codec.phase import quietness, rotate_to_next, unit
from streamsep.codec.quantizer import Quantized, ResidualVQ
from streamsep.condition.bands import BandLinear
from streamsep.config import BINS, SUBFRAMES, TRUNK_BANDS, CodecConfig
from streamsep.streaming import State, StreamModule

CHANNELS = 8  # per bin and subframe, see acoustic_features


def acoustic_features(spectrum: Tensor, last: Tensor, level: Tensor) -> Tensor:
    """Per-bin features of a stem's columns.

    Args:
        spectrum: [M, 2 sides, 2 subframes, 961] complex.
        last: [M, 961] complex, the mid column before the frame.
        level: [M] mean square of the mixture.

    Returns [M, 961, 2·8] float32: for each subframe log mid and log side (0 is 20 dB below the mean power of a bin, ±1
    is ±30 dB, floor at -80 dB), and as (cos, sin) the mid's turn since the column before beyond the bin centre's own,
    the phase of side against mid, and the mid's phase. Where it is quiet, (cos, sin) shrink to zero.
    """
    quiet = quietness(level)[:, None, None]
    power = spectrum.real.square() + spectrum.imag.square()
    log = (torch.log10(power / (level * BINS)[:, None, None, None] + 1e-8) + 2.0) / 3.0
    mid, side = unit(spectrum[:, 0], quiet), unit(spectrum[:, 1], quiet)
    before = torch.stack([unit(last, quiet[:, 0]), mid[:, 0]], 1)
    turn = mid * rotate_to_next(before).conj()
    phases = torch.view_as_real(torch.stack([turn, side * mid.conj(), mid], -1)).flatten(-2)  # [M, 2, 961, 6]
    stacked = torch.cat([log.permute(0, 2, 3, 1), phases], -1)
    return stacked.transpose(1, 2).flatten(2)


class AcousticPath(StreamModule):
    """Band embedding → causal ConvNeXt → latent [..., C] → residual quantizer."""

    def __init__(self, cfg: CodecConfig) -> None:
        super().__init__()
        self.fold = BandLinear(SUBFRAMES * CHANNELS, cfg.band_width)
        self.enter = nn.Linear(TRUNK_BANDS * cfg.band_width, cfg.acoustic_dim)
        self.blocks = ConvNeXt(cfg.acoustic_dim, cfg.ff_mult, cfg.kernel, cfg.encoder_layers)
        self.norm = nn.RMSNorm(cfg.acoustic_dim)
        self.leave = nn.Linear(cfg.acoustic_dim, cfg.code_dim)
        self.quantizer = ResidualVQ(
            cfg.acoustic_codebooks, cfg.codebook_size, cfg.code_dim, dropout=cfg.quantizer_dropout
        )

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("last", BINS, dtype=torch.complex64, device=device)
        state.nest("blocks", self.blocks.init_state(slots, device))
        return state

    def forward(self, spectrum: Tensor, level: Tensor, weight: Tensor | None = None) -> Quantized:
        """``spectrum`` [B, T, 2, 2, 961] complex, ``level`` [B, T], ``weight`` [B, T] of each frame in training."""
        return self.quantizer(self.latents(spectrum, level), weight)

    def latents(self, spectrum: Tensor, level: Tensor) -> Tensor:
        """``spectrum`` [B, T, 2, 2, 961] complex, ``level`` [B, T] → [B, T, C], not quantized."""
        last = torch.zeros_like(spectrum[:, :, 0, -1])
        last[:, 1:] = spectrum[:, :-1, 0, -1]
        features = acoustic_features(spectrum.flatten(0, 1), last.flatten(0, 1), level.flatten())
        x = self.enter(self.fold(features).flatten(1)).unflatten(0, level.shape)
        return self._leave(self.blocks(x))

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, spectrum: Tensor, level: Tensor, state: State, active: Tensor | None = None
    ) -> Tensor:
        """:meth:`latents` of one frame: ``spectrum`` [B, 2, 2, 961] complex, ``level`` [B] → [B, C]."""
        features = acoustic_features(spectrum, state["last"], level)
        state.put("last", spectrum[:, 0, -1], active)
        x = self.enter(self.fold(features).flatten(1))
        return self._leave(self.blocks.step(x, state.child("blocks"), active))

    def _leave(self, x: Tensor) -> Tensor:
        """Latents of unit RMS: they cannot run away from the codebooks that follow them."""
        latent = self.leave(self.norm(x)).float()
        return F.rms_norm(latent, latent.shape[-1:])
