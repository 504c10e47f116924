"""From a pool of stems to what a training step eats: spectra of mixture and stems, ready on the device."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from streamsep.codec.stft import STFT
from streamsep.condition.features import mid_side
from streamsep.config import SUBFRAMES
from streamsep.data.mixing import MixingDataset


class _Batches(IterableDataset[Tensor]):
    """Batches ``first``, ``first`` + 1, … of a mixing dataset: resuming at a step sees what an unbroken run would.

    Several processes take turns; the loader asks them in the same order.
    """

    def __init__(self, dataset: MixingDataset, first: int, dtype: torch.dtype) -> None:
        self.dataset, self.first, self.dtype = dataset, first, dtype

    def __iter__(self) -> Iterator[Tensor]:
        info = get_worker_info()
        mine, workers = (0, 1) if info is None else (info.id, info.num_workers)
        for step in itertools.count(self.first + mine, workers):
            yield torch.from_numpy(np.ascontiguousarray(self.dataset.batch(step), dtype=np.float32)).to(self.dtype)


def batches(dataset: MixingDataset, first: int, workers: int = 1, pinned: bool = False) -> Iterator[Tensor]:
    """Endless waves [B, 4, 2, L], prepared ahead by ``workers`` processes, by none of their own if 0.

    ``pinned``: in memory that a GPU reads by itself, in float16 (-66 dB), since one thread moves what all of them mix.
    """
    loader = DataLoader(
        _Batches(dataset, first, torch.float16 if pinned else torch.float32),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=3 if workers else None,
        pin_memory=pinned,
    )
    return iter(loader)


@dataclass(frozen=True)
class Spectra:
    """Complex columns of mid and side: ``mixture`` [B, T, 2, 2, 961] by frame, ``columns`` [B, S, 2, 2T, 961] of the
    stems, as they come from the STFT."""

    mixture: Tensor
    columns: Tensor

    @property
    def stems(self) -> Tensor:
        """The stems by frame: a view [B, T, S, 2, 2, 961]."""
        return self.columns.unflatten(3, (-1, SUBFRAMES)).permute(0, 3, 1, 2, 4, 5)


@torch.no_grad()
def spectra(waves: Tensor, stft: STFT, colours: Tensor | None = None) -> Spectra:
    """Waves [B, 4, 2, L] → spectra of the stems and of their sum; ``colours`` [B, 4, 961] multiply the stems' bins."""
    columns = stft(mid_side(waves, 2))
    if colours is not None:
        columns = columns * colours[:, :, None, None]
    mixture = columns.sum(1).unflatten(2, (-1, SUBFRAMES)).transpose(1, 2)
    return Spectra(mixture.contiguous(), columns)
