"""Random colours for stems: a sound that a net has heard must not be known by its spectrum alone.

The idea of FilterAugment (Nam et al., arXiv 2110.03282) for separation: every stem gets a smooth curve of its own, and
the mixture is the sum of the coloured stems.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from streamsep.config import BINS, trunk_edges

POINTS = 7  # of a curve; they lie evenly over the trunk bands


def random_colours(batch: int, stems: int, spread_db: float, generator: torch.Generator) -> Tensor:
    """Amplitudes ``[batch, stems, 961]`` for the bins of an STFT: curves whose points deviate by ``spread_db``.

    A third of the stems stays as it is.
    """
    points = torch.randn(batch, stems, POINTS, generator=generator)
    points = points - points.mean(-1, keepdim=True)  # the level is the mixing's business
    points = points * (torch.rand(batch, stems, 1, generator=generator) > 1 / 3)
    return 10 ** (points @ _curves() * (spread_db / 20))


@functools.lru_cache(maxsize=1)
def _curves() -> Tensor:
    """[7, 961]: what each point adds to each bin, linear in between on the scale of the trunk bands."""
    edges = torch.tensor(trunk_edges(), dtype=torch.float32)
    bins = torch.arange(BINS)
    band = (torch.bucketize(bins, edges, right=True) - 1).clamp(0, len(edges) - 2)
    place = band + (bins - edges[band]) / (edges[band + 1] - edges[band])  # 0 to 30
    place = place * ((POINTS - 1) / (len(edges) - 1))
    return (1 - (place[None] - torch.arange(POINTS)[:, None]).abs()).clamp(min=0)
