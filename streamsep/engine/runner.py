"""One stream at 48 kHz: samples of a tick in, samples of every stem out. Knows net and renderers; knows no rates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from streamsep.choices import CODEC, FUSED, GUIDE, MASK
from streamsep.codec.stft import STFT
from streamsep.condition.features import mid_side
from streamsep.config import ENVELOPES, LOOKAHEADS, STEMS
from streamsep.lm import LIVE, Decoding
from streamsep.model.net import Net, NetOutput
from streamsep.render.codec import CodecRenderer
from streamsep.render.mask import MaskRenderer
from streamsep.render.predictive import HOPS, PredictiveRenderer, hop_masks


@dataclass(frozen=True)
class Settings:
    """How a stream is separated. ``decodes``: one or more ways of decoding, each rendered; codec render knows one."""

    render: str = MASK
    decodes: tuple[str, ...] = (FUSED,)
    lookahead: int = 0
    seed: int | None = None
    tokens: bool = False  # run the language model even where no sound needs it
    feedback: str | None = None  # other than ``LIVE``'s, for ablations


class Runner(Protocol):
    """``tick``: mixture [2, unit] left/right → [decodes, S, 2, unit]; ``codes``: [S, Q] of the last frame, if any.

    ``hurried``: the guide head alone makes the masks, several times as fast, and the language model pauses. Of one way
    of decoding; the codec render knows no hurry.
    """

    codes: Tensor | None
    hurried: bool

    def tick(self, block: Tensor) -> Tensor: ...

    def reset(self) -> None: ...


def make_runner(net: Net, settings: Settings, device: torch.device) -> Runner:
    if settings.render == CODEC:
        return CodecRunner(net, settings, device)
    if settings.lookahead < 0:
        return PredictiveRunner(net, settings, device)
    return MaskRunner(net, settings, device)


def decoding_of(net: Net, settings: Settings) -> Decoding:
    """How tokens are chosen under ``settings``."""
    drawn = settings.seed is not None
    return replace(
        LIVE,
        temperature=1.0 if drawn else 0.0,
        feedback=settings.feedback or LIVE.feedback,
        within="hard" if drawn else LIVE.within,  # what is drawn must be heard by what is drawn next
        codebooks=net.config.codec.codebooks if settings.render == CODEC else None,
    )


class _Frames:
    """Analysis and net, frame after frame, of one stream."""

    def __init__(self, net: Net, settings: Settings, device: torch.device) -> None:
        self._net = net
        self._stft = STFT().to(device)
        self._lookahead = torch.tensor([LOOKAHEADS.index(settings.lookahead)], device=device)
        self._seed = None if settings.seed is None else torch.tensor([settings.seed], device=device)
        self._tokens = settings.tokens or settings.render == CODEC
        self._decoding = decoding_of(net, settings)
        self._states = self._stft.init_state(1, device), net.init_state(1, device)

    def step(self, frame: Tensor, decodes: tuple[str, ...]) -> NetOutput:
        """``frame`` [2, 1920] left/right."""
        stft_state, net_state = self._states
        spectrum = self._stft.step(mid_side(frame, 0).unsqueeze(0), stft_state)
        return self._net.step(
            spectrum,
            self._lookahead,
            net_state,
            decodes=decodes,
            decoding=self._decoding,
            seed=self._seed,
            tokens=self._tokens,
        )

    def reset(self) -> None:
        for state in self._states:
            state.reset()


class MaskRunner:
    """Masks on the mixture's own frames; ticks of a frame."""

    def __init__(self, net: Net, settings: Settings, device: torch.device) -> None:
        self._frames = _Frames(net, settings, device)
        self._renderer = MaskRenderer().to(device)
        self._state = self._renderer.init_state(len(settings.decodes), device)
        self._decodes = settings.decodes
        self.codes: Tensor | None = None
        self.hurried = False

    def tick(self, block: Tensor) -> Tensor:
        decodes = (GUIDE,) if self.hurried else self._decodes
        out = self._frames.step(block, decodes)
        self.codes = None if out.lm is None else out.lm.codes[0]
        return self._renderer.step(stacked(out, decodes), out.spectrum, self._state)

    def reset(self) -> None:
        self._frames.reset()
        self._state.reset()
        self.codes = None


class PredictiveRunner:
    """Masks predicted a frame ahead, rendered in hops of 480 samples; every fourth tick runs the net."""

    def __init__(self, net: Net, settings: Settings, device: torch.device) -> None:
        self._frames = _Frames(net, settings, device)
        self._renderer = PredictiveRenderer().to(device)
        self._state = self._renderer.init_state(len(settings.decodes), device)
        self._decodes, self._device = settings.decodes, device
        self.hurried = False
        self.reset()

    def tick(self, block: Tensor) -> Tensor:
        sound = self._renderer.step(
            self._masks[:, len(self._heard)], block.expand(len(self._decodes), -1, -1), self._state
        )
        self._heard.append(block)
        self.codes = None
        if len(self._heard) == HOPS:
            decodes = (GUIDE,) if self.hurried else self._decodes
            out = self._frames.step(torch.cat(self._heard, -1), decodes)
            self._heard = []
            self._masks = hop_masks(stacked(out, decodes))
            self.codes = None if out.lm is None else out.lm.codes[0]
        return sound

    def reset(self) -> None:
        """The first frame was not predicted: it is shared out evenly."""
        self._frames.reset()
        self._state.reset()
        self._heard: list[Tensor] = []
        self.codes: Tensor | None = None
        even = torch.tensor(1 / len(STEMS), device=self._device)
        self._masks = even.expand(len(self._decodes), HOPS, len(STEMS), 2, ENVELOPES)


class CodecRunner:
    """The decoder's own sound; ticks of a frame."""

    def __init__(self, net: Net, settings: Settings, device: torch.device) -> None:
        self._frames = _Frames(net, settings, device)
        self._renderer = CodecRenderer(net.codec).to(device)
        self._state = self._renderer.init_state(1, device)
        self._early = max(0, settings.lookahead)
        self.hurried = False
        self.reset()

    def tick(self, block: Tensor) -> Tensor:
        out = self._frames.step(block, ())
        assert out.lm is not None
        self.codes = out.lm.codes[0]
        self._ticks += 1
        if self._ticks <= self._early:  # a frame before the beginning: its codes mean nothing
            return block.new_zeros(1, len(STEMS), *block.shape)
        return self._renderer.step(out.lm.codes, out.level, self._state)

    def reset(self) -> None:
        self._frames.reset()
        self._state.reset()
        self._ticks = 0
        self.codes: Tensor | None = None


def stacked(out: NetOutput, decodes: tuple[str, ...]) -> Tensor:
    """Masks of every decoding as slots of a renderer: [decodes, S, 2, 2, 120]."""
    return torch.cat([out.masks[name] for name in decodes])
