"""Renderer for lookahead -1: masks were predicted before the sound arrives, so only a short window is waited for.

Analysis sees the last 40 ms (the resolution the masks were made for) but its window falls off within the newest 10 ms;
synthesis lives on the newest 20 ms only. Their product is a Hann window, which overlaps to one at a hop of 10 ms
(Mauler and Martin, "A low delay, variable resolution, perfect reconstruction spectral analysis-synthesis system",
EUSIPCO 2007). The delay is hop + overlap = 20 ms instead of frame + 20 ms.
"""

from __future__ import annotations

import torch
from torch import Tensor

from streamsep.condition.features import mid_side
from streamsep.config import PREDICTIVE_HOP, STEMS, SUBFRAMES, WINDOW
from streamsep.render.gains import StemGains
from streamsep.render.mask import to_bins
from streamsep.streaming import State, StreamModule

_SUPPORT = 2 * PREDICTIVE_HOP


def asymmetric_windows() -> tuple[Tensor, Tensor]:
    """Analysis and synthesis windows, both [1920]; their product is a Hann window on the last 960 samples."""
    half, rise = PREDICTIVE_HOP, WINDOW - PREDICTIVE_HOP
    up = torch.sin(0.5 * torch.pi * (torch.arange(rise, dtype=torch.float64) + 0.5) / rise)
    down = torch.cos(0.5 * torch.pi * (torch.arange(half, dtype=torch.float64) + 0.5) / half)
    analysis = torch.cat([up, down])
    hann = torch.sin(torch.pi * (torch.arange(_SUPPORT, dtype=torch.float64) + 0.5) / _SUPPORT) ** 2
    synthesis = torch.zeros(WINDOW, dtype=torch.float64)
    synthesis[-_SUPPORT:] = hann / analysis[-_SUPPORT:]
    return analysis.float(), synthesis.float()


class PredictiveRenderer(StreamModule):
    """480 mixture samples and a mask in, 480 samples of every stem out, 480 samples behind."""

    delay = PREDICTIVE_HOP

    def __init__(self, sets: int = 1) -> None:
        """``sets`` of stems, each of which sums to the mixture."""
        super().__init__()
        self.gains = StemGains(sets, PREDICTIVE_HOP)
        analysis, synthesis = asymmetric_windows()
        self.register_buffer("analysis", analysis, persistent=False)
        self.register_buffer("synthesis", synthesis[-_SUPPORT:].clone(), persistent=False)

    analysis: Tensor
    synthesis: Tensor

    def select_kernels(self, device: str = "cpu", backend: str = "auto") -> tuple[str, ...]:
        """Choose the kernels that ``step`` runs on (plain torch until then) and return their names.

        Raises ValueError for a backend that does not serve the device.
        """
        return self.gains.select_kernels(device, backend)

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("past", 2, WINDOW - PREDICTIVE_HOP, device=device)
        state.add("tail", self.gains.sets * len(STEMS), 2, _SUPPORT - PREDICTIVE_HOP, device=device)
        state.nest("gains", self.gains.init_state(slots, device))
        return state

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, masks: Tensor, block: Tensor, state: State, active: Tensor | None = None
    ) -> Tensor:
        """``masks`` [B, S, 2 sides, 120], ``block`` [B, 2 left/right, 480] → [B, S, 2, 480]."""
        window = torch.cat([state["past"], block], -1)
        spectrum = torch.fft.rfft(mid_side(window, 1) * self.analysis)
        gains, added = self.gains.step(masks.unsqueeze(3), spectrum.unsqueeze(2), state.child("gains"), active)
        found = (to_bins(gains.squeeze(4)) * spectrum[:, None, None]).sum(3)
        found[..., : added.shape[-1]] += added.squeeze(3)
        wave = torch.fft.irfft(found, WINDOW)[..., -_SUPPORT:]
        wave = mid_side(wave, 2) * self.synthesis
        out = wave[..., :PREDICTIVE_HOP] + state["tail"]
        state.put("past", window[..., PREDICTIVE_HOP:], active)
        state.put("tail", wave[..., PREDICTIVE_HOP:], active)
        return out


def hop_masks(masks: Tensor) -> Tensor:
    """Masks at the two columns of a frame → masks at its four hops: [B, S, 2, 2 subframes, 120] → [B, 4, S, 2, 120].

    A hop's window is centred on the hop's start: on the first column, half-way, on the second, and past it (held).
    """
    first, second = masks.unbind(3)
    return torch.stack([first, 0.5 * (first + second), second, second], 1)


HOPS = SUBFRAMES * 2
