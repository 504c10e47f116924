"""What takes part in the race: nets of equal compute, each with a loss and a way to separate. Knows no songs."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from streamsep.config import BINS, FRAME, HOP, SAMPLE_RATE, STEMS
from streamsep.data.hs_tasnet import SOURCES, separate
from streamsep.evaluate.metrics import Sound
from streamsep.model.net import Net
from tests.bench.hs_tasnet import hs_tasnet_module
from tests.bench.mask_net import MaskNet


class Peer(Protocol):
    """``net`` is trained by ``loss`` of true stems [B, 4, 2, n]."""

    name: str
    latency_ms: int
    batch: int
    precision: str  # of its training, as in a recipe

    @property
    def net(self) -> nn.Module: ...

    def loss(self, stems: Tensor) -> Tensor: ...

    def separate(self, mixture: Sound) -> dict[str, Sound]: ...


class MaskPeer:
    name = "causal mask LSTM"
    latency_ms = 60
    batch = 8
    precision = "auto"

    def __init__(self, width: int) -> None:
        self.net = MaskNet(width)

    def loss(self, stems: Tensor) -> Tensor:
        return self.net.loss(stems)

    def separate(self, mixture: Sound) -> dict[str, Sound]:
        return self.net.eval().separate(mixture)


class HSTasNetPeer:
    """HS-TasNet (Venkatesh et al. 2024) of PyPI, small, at 48 kHz: window 1024, latency 21 ms."""

    name = "HS-TasNet small"
    latency_ms = 21
    batch = 4
    precision = "float32"  # bfloat16 is no faster

    def __init__(self) -> None:
        self.net: Any = hs_tasnet_module().HSTasNet(small=True, sample_rate=SAMPLE_RATE)
        self._order = [STEMS.index(stem) for stem in SOURCES]

    def loss(self, stems: Tensor) -> Tensor:
        return self.net(stems.sum(1), targets=stems[:, self._order])

    def separate(self, mixture: Sound) -> dict[str, Sound]:
        return separate(self.net.eval(), mixture)


def net_flops(net: Net) -> float:
    """Multiply-adds, times two, that the whole of a model spends on a second of sound."""
    state = net.init_state(1)
    spectrum = torch.zeros(1, 2, 2, BINS, dtype=torch.complex64)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        net.step(spectrum, torch.tensor([1]), state)
    return counter.get_total_flops() * SAMPLE_RATE / FRAME


def mask_width(flops: float) -> int:
    """Width of a :class:`MaskNet` that spends as much as ``flops`` a second, or a little less; a multiple of 32."""

    def spent(width: int) -> float:
        # What a column costs: linear layers, and three LSTM layers of four gates on input and state.
        weights = 2 * BINS * width + 3 * 8 * width * width + 2 * width * width + len(STEMS) * 2 * BINS * width
        return 2 * weights * SAMPLE_RATE / HOP

    width = 32
    while spent(width + 32) <= flops:
        width += 32
    return width
