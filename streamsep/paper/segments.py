"""Long sounds through a paper model: segments that overlap, cross-faded where they meet. Knows 48 kHz stereo only.

    segment k      |────────────────────────────|
    segment k + 1                         |────────────────────────────|
    given              segment k          |mix |      segment k + 1    |mix |

Fades are straight lines that sum to one: stems that sum to the mixture in each segment do so in all of the song.
Several segments are written side by side, which costs little more than one.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamsep.choices import CODEC, MASK
from streamsep.codec.stft import ISTFT, STFT
from streamsep.condition.features import mid_side
from streamsep.config import FRAME, HOP, STEMS, SUBFRAMES
from streamsep.errors import OptionError
from streamsep.lm.sampling import GREEDY
from streamsep.paper.generate import SAMPLED, Draw
from streamsep.paper.net import PaperNet
from streamsep.render.mask import to_bins

Sound = NDArray[np.float32]

WIDTH = 2 * len(STEMS)  # channels that come out: stem by stem, left and right
_ABREAST = 8  # segments written side by side


class SegmentSeparator:
    """Segments of ``samples`` samples, ``hop`` apart → their stems. ``render``: ``mask`` or ``codec``; with a ``seed``
    codes are drawn at random.
    """

    def __init__(self, net: PaperNet, render: str = MASK, seed: int | None = None) -> None:
        """Raises OptionError when the model's codes are not enough for the codec's decoder."""
        paper = net.config.paper
        if render == CODEC and paper.streams != "both":
            raise OptionError(
                f"this model writes {paper.streams} tokens alone, which the codec cannot decode; use --render mask."
            )
        self.net, self.render, self.seed = net, render, seed
        self.device = net.lm.tables.device
        self.frames, self.stride = paper.frames, paper.frames - paper.overlap
        self.samples, self.hop = self.frames * FRAME, self.stride * FRAME
        self.kept = self.samples - HOP  # the last half window of a segment lacks its partner
        self._stft, self._istft = STFT().to(self.device), ISTFT().to(self.device)

    @torch.inference_mode()
    def __call__(self, waves: Sound, first: int) -> Sound:
        """``waves`` [B, 2, samples], the first of them segment number ``first`` of its song → [B, S, 2, kept]."""
        sound = torch.from_numpy(np.ascontiguousarray(waves)).to(self.device)
        columns = self._stft(mid_side(sound, 1)).unflatten(2, (-1, SUBFRAMES))
        mixture = columns.transpose(1, 2)  # [B, T, 2, 2, 961]
        draw = None
        if self.seed is not None:
            number = torch.arange(first, first + len(waves), device=self.device)
            draw = Draw(torch.full_like(number, self.seed), number * self.stride)
        codes, vectors, level = self.net.separate(mixture, GREEDY if draw is None else SAMPLED, draw)
        # Segment by segment: spectra of all stems are large.
        return np.stack([self._sound(*each) for each in zip(mixture, codes, vectors, level, strict=True)])

    def _sound(self, mixture: Tensor, codes: Tensor, vectors: Tensor, level: Tensor) -> Sound:
        """One segment, [T, ...] each → [S, 2, kept]."""
        if self.render == CODEC:
            count = codes.shape[1]
            stems = self.net.codec.decode(codes.transpose(0, 1), level.expand(count, -1)).transpose(0, 1)
        else:
            stems = to_bins(self.net.log_masks(vectors).exp()) * mixture.unsqueeze(1)
        wave = self._istft(stems.permute(1, 2, 0, 3, 4).flatten(2, 3))  # [S, 2, samples]
        return mid_side(wave, 1)[..., HOP:].cpu().numpy()


class SegmentStream:
    """A song in blocks of any size in, its stems out, as many samples as went in; made anew for every song."""

    def __init__(self, separate: SegmentSeparator, abreast: int = _ABREAST) -> None:
        self._separate, self._abreast = separate, abreast
        self._fade = separate.kept - separate.hop
        self._heard = np.zeros((2, 0), np.float32)  # from the beginning of the segment that comes next
        self._tail: Sound | None = None  # the last segment's end [WIDTH, fade], to be mixed with the next beginning
        self._number = 0

    def push(self, block: Sound) -> Sound:
        """``block`` [2, n] → [WIDTH, m], what is known for good by now."""
        self._heard = np.concatenate([self._heard, block], 1)
        needed = (self._abreast - 1) * self._separate.hop + self._separate.samples
        parts = [np.zeros((WIDTH, 0), np.float32)]
        while self._heard.shape[1] >= needed:
            parts.append(self._run(self._abreast))
        return np.concatenate(parts, 1)

    def flush(self) -> Sound:
        """The rest, as if silence followed."""
        rest = self._heard.shape[1]
        known = 0 if self._tail is None else self._fade
        if rest <= known:
            return np.zeros((WIDTH, 0), np.float32) if self._tail is None else self._tail[:, :rest]
        hop, kept, samples = self._separate.hop, self._separate.kept, self._separate.samples
        count = 1 + max(0, -(-(rest - kept) // hop))
        self._heard = np.pad(self._heard, ((0, 0), (0, (count - 1) * hop + samples - rest)))
        parts = []
        for start in range(0, count, self._abreast):
            parts.append(self._run(min(self._abreast, count - start)))
        assert self._tail is not None
        return np.concatenate([*parts, self._tail], 1)[:, :rest]

    def _run(self, count: int) -> Sound:
        """The next ``count`` segments: [WIDTH, count · hop]; the end of the last is kept."""
        hop, samples = self._separate.hop, self._separate.samples
        waves = np.stack([self._heard[:, k * hop : k * hop + samples] for k in range(count)])
        self._heard = self._heard[:, count * hop :].copy()
        parts: list[Sound] = []
        rise = ((np.arange(self._fade) + 0.5) / self._fade).astype(np.float32)
        for stems in self._separate(waves, self._number):
            sound = stems.reshape(WIDTH, -1)
            if self._tail is not None:
                sound[:, : self._fade] = rise * sound[:, : self._fade] + (1 - rise) * self._tail
            parts.append(sound[:, :hop])
            self._tail = sound[:, hop:]
        self._number += count
        return np.concatenate(parts, 1)
