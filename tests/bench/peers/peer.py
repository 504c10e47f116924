"""What a model must offer to take part, and the list of those that do. Imports none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Sound = NDArray[np.float32]


class Live(Protocol):
    """A model under live conditions: blocks in, whatever is ready out."""

    def push(self, block: Sound) -> Sound:
        """``block`` [channels, n] → [channels, m], the stems' sum, in order; m may be 0."""
        ...


@dataclass(frozen=True)
class Built:
    """A model that is ready.

    ``block``: samples of a push. ``aligned``: its i-th sample out belongs to the i-th in (else the click that comes
    out tells). ``counted``: one step whose operations torch's counter sees, for ``counted_samples`` of sound.
    """

    make: Callable[[], Live]
    block: int
    parameters: int
    aligned: bool
    counted: Callable[[], object]
    counted_samples: int
    recurrent: bool = False  # has an LSTM, whose operations are seen without oneDNN only


@dataclass(frozen=True)
class Peer:
    """``module``: where ``build(device, **options) → Built`` is; ``package``: what has to be installed; ``stems``: 0
    for a codec.
    """

    name: str
    module: str
    package: str
    rate: int
    channels: int
    stems: int
    weights: str
    how: str
    options: tuple[tuple[str, float], ...] = ()


_RANDOM = "random"
PEERS: tuple[Peer, ...] = (
    Peer("streamsep 60 ms", "ours", "", 48_000, 2, 4, "shipped", "lookahead 0, frames of 40 ms", (("lookahead", 0),)),
    Peer("streamsep 20 ms", "ours", "", 48_000, 2, 4, "shipped", "lookahead -1, hops of 10 ms", (("lookahead", -1),)),
    Peer("HS-TasNet", "hs_tasnet_peer", "hs-tasnet", 44_100, 2, 4, _RANDOM, "its streaming function"),
    Peer(
        "HTDemucs 60 ms",
        "demucs_peer",
        "demucs",
        44_100,
        2,
        4,
        _RANDOM,
        "1 s window moved by 40 ms, 20 ms past the hop",
        (("window", 1.0), ("hop", 0.04), ("margin", 0.02)),
    ),
    Peer(
        "HTDemucs segment",
        "demucs_peer",
        "demucs",
        44_100,
        2,
        4,
        _RANDOM,
        "7.8 s window, a quarter overlaps",
        (("window", 7.8), ("hop", 5.85), ("margin", 0.975)),
    ),
    Peer(
        "Open-Unmix 60 ms",
        "openunmix_peer",
        "openunmix",
        44_100,
        2,
        4,
        _RANDOM,
        "1 s window moved by 40 ms, 20 ms past the hop",
        (("window", 1.0), ("hop", 0.04), ("margin", 0.02)),
    ),
    Peer(
        "BS-RoFormer 60 ms",
        "bs_roformer_peer",
        "BS-RoFormer",
        44_100,
        2,
        4,
        _RANDOM,
        "1 s window moved by 40 ms, 20 ms past the hop",
        (("window", 1.0), ("hop", 0.04), ("margin", 0.02)),
    ),
    Peer("Mimi (codec)", "mimi_peer", "moshi", 24_000, 1, 0, _RANDOM, "its streaming mode, encode and decode"),
)


class Chunked:
    """A model of whole windows under live conditions: of the last ``window`` samples it hears, every ``hop`` samples,
    those are kept that lie ``margin`` before the end, where the window's edge does not disturb.
    """

    def __init__(self, separate: Callable[[Sound], Sound], channels: int, window: int, hop: int, margin: int) -> None:
        self._separate, self._hop, self._margin = separate, hop, margin
        self._heard = np.zeros((channels, window), np.float32)
        self._waiting = 0
        self._first = True

    def push(self, block: Sound) -> Sound:
        """``block`` [channels, n ≤ window]."""
        parts: list[Sound] = [block[:, :0]]
        done = 0
        while done < block.shape[1]:
            piece = block[:, done : done + self._hop - self._waiting]
            done += piece.shape[1]
            self._heard = np.concatenate([self._heard[:, piece.shape[1] :], piece], axis=1)
            self._waiting += piece.shape[1]
            if self._waiting == self._hop:
                self._waiting = 0
                parts.append(self._window())
        return np.concatenate(parts, axis=1)

    def _window(self) -> Sound:
        out = self._separate(self._heard)
        end = out.shape[1] - self._margin
        count = self._hop - self._margin if self._first else self._hop  # nothing of before the beginning
        self._first = False
        return out[:, end - count : end]


def chunked(
    device: str,
    model: torch.nn.Module,
    separate: Callable[[torch.Tensor], torch.Tensor],
    rate: int,
    window: float,
    hop: float,
    margin: float,
    recurrent: bool = False,
) -> Built:
    """``separate``: [1, 2, n] → [2, n], the sum of the stems, by ``model``, which is moved to ``device``; times in
    seconds.
    """
    model.to(device)
    sizes = [round(seconds * rate) for seconds in (window, hop, margin)]

    def window_of(sound: Sound) -> Sound:
        with torch.inference_mode():
            return separate(torch.from_numpy(sound)[None].to(device)).cpu().numpy()

    return Built(
        make=lambda: Chunked(window_of, 2, *sizes),
        block=sizes[1],
        parameters=parameters(model),
        aligned=True,
        counted=lambda: window_of(np.zeros((2, sizes[0]), np.float32)),
        counted_samples=sizes[1],
        recurrent=recurrent,
    )


def parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
