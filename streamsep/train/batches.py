"""From a pool of stems to what a training step eats: spectra of mixture and stems, ready on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from streamsep.codec.stft import STFT
from streamsep.condition.features import mid_side
from streamsep.config import SUBFRAMES
from streamsep.data.mixing import MixingDataset


class _Batches(IterableDataset[Tensor]):
    """Batches ``first``, ``first`` + 1, … of a mixing dataset: resuming at a step sees what an unbroken run would."""

    def __init__(self, dataset: MixingDataset, first: int) -> None:
        self.dataset, self.first = dataset, first

    def __iter__(self) -> Iterator[Tensor]:
        step = self.first
        while True:
            yield torch.from_numpy(np.ascontiguousarray(self.dataset.batch(step), dtype=np.float32))
            step += 1


def batches(dataset: MixingDataset, first: int, background: bool = True) -> Iterator[Tensor]:
    """Endless waves [B, 4, 2, L], prepared one process ahead unless ``background`` is off."""
    workers = 1 if background else 0
    loader = DataLoader(
        _Batches(dataset, first), batch_size=None, num_workers=workers, prefetch_factor=3 if workers else None
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
