"""Where the tokens of a segment stand in the sequence, and which position may see which. Knows integers only.

The sequence is the mixture's T frames, then positions (stem, u) for u = 0 … U with U = T + Q - 1. Position (s, u) is
fed what stem s wrote at u - 1 and writes code q of frame u - q for every codebook q (the delay pattern of MusicGen,
arXiv 2306.05284): one position a frame, and yet each code of a frame knows those before it. Position U only lets later
stems see the last codes.

Everybody sees the mixture and the own stem's past. Of other stems a position sees, in

    sequential   all of the stems before it: the paper's order, S · (U + 1) steps
    wavefront    of the stems before it what they wrote up to and with u: U + S steps, each a batch over stems
    parallel     nothing: U + 1 steps
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from streamsep.config import STEMS


@dataclass(frozen=True)
class Arrangement:
    """A segment's sequence in the order of emission; positions of tokens are counted from the mixture's end.

    ``stem``, ``step`` [P] int64: which (s, u) a position is; ``place`` [S, U + 1] int64: where (s, u) stands;
    ``cuts``: the positions of one step after the other, as (first, behind the last);
    ``bias`` [T + P, T + P] float32: 0 where a position (a row) may see another, else -inf.
    """

    frames: int
    books: int
    stem: Tensor
    step: Tensor
    place: Tensor
    cuts: tuple[tuple[int, int], ...]
    bias: Tensor

    @staticmethod
    def make(order: str, frames: int, books: int, device: torch.device | str = "cpu") -> Arrangement:
        """For ``frames`` tokens of ``books`` codebooks a stem. Raises ValueError for an unknown order."""
        stems, steps = len(STEMS), frames + books
        moments = _moments(order, stems, steps)
        flat = [position for moment in moments for position in moment]
        cuts, first = [], 0
        for moment in moments:
            cuts.append((first, first + len(moment)))
            first += len(moment)
        stem, step = torch.tensor(flat).T
        place = torch.empty(stems, steps, dtype=torch.int64)
        place[stem, step] = torch.arange(len(flat))
        when = torch.cat([torch.full((len(moment),), i) for i, moment in enumerate(moments)])
        seen = when[:, None] >= when
        if order == "parallel":
            seen &= stem[:, None] == stem
        whole = torch.ones(frames + len(flat), frames + len(flat), dtype=torch.bool)
        whole[:frames, frames:] = False
        whole[frames:, frames:] = seen
        bias = torch.zeros(whole.shape).masked_fill_(~whole, -torch.inf)
        return Arrangement(
            frames, books, stem.to(device), step.to(device), place.to(device), tuple(cuts), bias.to(device)
        )

    def written(self) -> Tensor:
        """[T, S, Q] int64: the position that writes each code."""
        device = self.place.device
        frame, book = torch.arange(self.frames, device=device), torch.arange(self.books, device=device)
        return self.place[:, frame[:, None] + book].transpose(0, 1)

    def fed(self, codes: Tensor) -> Tensor:
        """Codes ``[B, T, S, Q]``, -1 where unknown → what each position is fed, ``[B, P, Q]``, -1 where nothing."""
        frame = self.step[:, None] - 1 - torch.arange(self.books, device=codes.device)  # [P, Q]
        inside = (frame >= 0) & (frame < self.frames)
        book = torch.arange(self.books, device=codes.device)
        found = codes[:, frame.clamp(0, self.frames - 1), self.stem[:, None], book]
        return found.masked_fill(~inside, -1)


def _moments(order: str, stems: int, steps: int) -> list[list[tuple[int, int]]]:
    """(stem, u) of each dependent step."""
    if order == "sequential":
        return [[(s, u)] for s in range(stems) for u in range(steps)]
    if order == "parallel":
        return [[(s, u) for s in range(stems)] for u in range(steps)]
    if order == "wavefront":
        return [[(s, j - s) for s in range(stems) if 0 <= j - s < steps] for j in range(steps + stems - 1)]
    raise ValueError(f"unknown order '{order}': choose one of sequential, wavefront, parallel")
