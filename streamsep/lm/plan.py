"""An order, made ready to run: masks and index tensors for every step of a frame. Knows integers, no weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from streamsep.config import STEMS
from streamsep.lm.order import schedule, visible


@dataclass(frozen=True)
class Step:
    """One dependent step of a plan: its R places, rising by codebook, and what they may see and are fed.

    Latents so far lie in 2·(S + 1) rows: none, then the stems' semantic ones; none, then the stems' acoustic ones.
    """

    books: tuple[int, ...]  # codebook of every place
    places: Tensor  # [R] int64: stem · Q + codebook
    fed: Tensor  # [2·R] int64: latent row of the place's own stem, of the stem before it, and so on
    emits: Tensor  # [R] int64: latent row to which the emitted code's vector is added
    table: Tensor  # [R] int64: first row of the codebook in the flat code table
    scale: Tensor  # [R] int64: which of the two latent scales
    stem: Tensor  # [R] int64
    bias: Tensor  # [R, places up to and with this step], in emission order


@dataclass(frozen=True)
class Plan:
    """An order, made ready for one number of codebooks."""

    bias: Tensor  # [S·Q, S·Q], places counted stem by stem
    steps: tuple[Step, ...]
    rank: Tensor  # [S·Q] int64: when a place is emitted

    @staticmethod
    def make(order: str, semantic: int, codebooks: int, size: int, device: torch.device) -> Plan:
        stems = len(STEMS)

        def index(values: list[int]) -> Tensor:
            return torch.tensor(values, device=device)

        def row(stem: int, acoustic: bool) -> int:
            return int(acoustic) * (stems + 1) + stem + 1

        seen = torch.tensor(visible(order, stems, semantic, codebooks), device=device)
        bias = torch.zeros(seen.shape, device=device).masked_fill_(~seen, -torch.inf)
        emitted: list[int] = []
        steps: list[Step] = []
        for places in schedule(order, stems, semantic, codebooks):
            flat = [p.stem * codebooks + p.codebook for p in places]
            emitted += flat
            fed: list[int] = []
            for p in places:
                before = -1 if order == "parallel" else p.stem - 1
                fed += [row(p.stem, p.codebook > semantic), row(before, p.codebook >= semantic)]
            steps.append(
                Step(
                    books=tuple(p.codebook for p in places),
                    places=index(flat),
                    fed=index(fed),
                    emits=index([row(p.stem, p.codebook >= semantic) for p in places]),
                    table=index([p.codebook * size for p in places]),
                    scale=index([int(p.codebook >= semantic) for p in places]),
                    stem=index([p.stem for p in places]),
                    bias=bias[flat][:, emitted].contiguous(),
                )
            )
        return Plan(bias, tuple(steps), index(emitted).argsort())
