"""What a frame passes besides the net: analysis and renderers, and the state of it all. Knows modules, no streams."""

from __future__ import annotations

import torch

from streamsep.choices import CODEC
from streamsep.codec.stft import STFT
from streamsep.config import ENVELOPES, STEMS, SUBFRAMES
from streamsep.engine.settings import Settings
from streamsep.lm.pages import Pages
from streamsep.model.net import Net
from streamsep.render.codec import CodecRenderer
from streamsep.render.mask import MaskRenderer
from streamsep.render.predictive import PredictiveRenderer
from streamsep.streaming import State


class Parts:
    """``net`` and what stands before and behind it."""

    def __init__(self, net: Net, settings: Settings) -> None:
        self.net, self.settings = net, settings
        self.device = next(net.parameters()).device
        self.stft = STFT().to(self.device)
        self.mask = MaskRenderer(len(settings.decodes)).to(self.device)
        self.hop = PredictiveRenderer(len(settings.decodes)).to(self.device)
        if net.backend is not None:
            for renderer in (self.mask, self.hop):
                renderer.select_kernels(self.device.type, net.backend)
        self.codec = CodecRenderer(net.codec).to(self.device)

    def init_state(self, slots: int, pages: Pages | None = None, device: torch.device | str | None = None) -> State:
        """Children ``stft``, ``net`` and those of the render, of masks ``ahead`` too, which were predicted for the next
        frame; on the net's device when None is given.
        """
        device = self.device if device is None else device
        state = State(slots)
        state.nest("stft", self.stft.init_state(slots, device))
        state.nest("net", self.net.init_state(slots, device, pages))
        if self.settings.render == CODEC:
            state.nest("codec", self.codec.init_state(slots, device))
        else:
            state.nest("mask", self.mask.init_state(slots, device))
            state.nest("hop", self.hop.init_state(slots, device))
            ahead = state.nest("ahead", State(slots))
            even = 1 / len(STEMS)  # nothing is known of the first frame
            ahead.add("masks", self.settings.rows, 2, SUBFRAMES, ENVELOPES, device=device, fresh=even)
        return state
