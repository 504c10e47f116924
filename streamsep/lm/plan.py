"""An order, made ready to run: masks and index tensors for every step of a frame. Knows integers, no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.reference.depth_decode import DepthPlan
from streamsep.config import STEMS
from streamsep.lm.order import schedule, visible
from streamsep.lm.sampling import counter


@dataclass(frozen=True)
class Plan:
    """An order, made ready for one number of codebooks.

    Latents so far lie in 2·(S + 1) rows: none, then the stems' semantic ones; none, then the stems' acoustic ones. A
    place is fed the row of its own stem and that of the stem before it.
    """

    bias: Tensor  # [S·Q, S·Q], places counted stem by stem
    decode: DepthPlan

    @staticmethod
    def make(order: str, semantic: int, codebooks: int, device: torch.device) -> Plan:
        stems = len(STEMS)

        def index(values: Sequence[int] | Sequence[tuple[int, int]]) -> Tensor:
            return torch.tensor(values, device=device)

        def row(stem: int, acoustic: bool) -> int:
            return int(acoustic) * (stems + 1) + stem + 1

        seen = torch.tensor(visible(order, stems, semantic, codebooks), device=device)
        bias = torch.zeros(seen.shape, device=device).masked_fill_(~seen, -torch.inf)
        steps = schedule(order, stems, semantic, codebooks)
        places = [place for step in steps for place in step]
        emitted = index([p.stem * codebooks + p.codebook for p in places])
        before = [-1 if order == "parallel" else p.stem - 1 for p in places]
        acoustic = [p.codebook >= semantic for p in places]
        own = [row(p.stem, p.codebook > semantic) for p in places]
        decode = DepthPlan(
            books=tuple(tuple(place.codebook for place in step) for step in steps),
            place=emitted,
            rank=emitted.argsort(),
            book=index([p.codebook for p in places]),
            fed=index(list(zip(own, map(row, before, acoustic), strict=True))),
            emits=index([row(p.stem, late) for p, late in zip(places, acoustic, strict=True)]),
            scale=index([int(late) for late in acoustic]),
            counter=index([counter(p.stem, p.codebook) for p in places]),
            bias=bias[emitted][:, emitted].contiguous(),
            latents=2 * (stems + 1),
        )
        return Plan(bias, decode)
