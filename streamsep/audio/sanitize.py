"""Sound that no model should see, mended or at least reported: NaN, infinities, clipping, a DC offset."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ABSURD = 1e5  # 100 dB over full scale: such a float is a broken file, not a loud one, and squares of powers overflow
CLIP_LEVEL = 0.999
CLIP_RUN = 3  # equal neighbours at full scale before it counts: a normalised song touches full scale once
DC_LEVEL = 0.01  # −40 dBFS
DC_SAMPLES = 8_000  # below this the mean of a bass note is no offset


class Sanitizer:
    """Passes blocks through, with what is not a number as silence, and remembers what it saw for ``warnings``."""

    def __init__(self, channels: int) -> None:
        self.not_finite = 0
        self.clipped = 0
        self.samples = 0
        self._sums = np.zeros(channels)
        self._tail = np.zeros((channels, CLIP_RUN - 1), np.float32)  # runs go on across blocks

    def __call__(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """``block`` [channels, n] → the same samples, with NaN, infinities and absurd values replaced by 0."""
        with np.errstate(invalid="ignore"):
            good = np.abs(block) < ABSURD  # False for NaN as well
        bad = block.size - int(np.count_nonzero(good))
        if bad:
            self.not_finite += bad
            block = np.where(good, block, np.float32(0))
        self.samples += block.shape[1]
        self._sums += block.sum(axis=1, dtype=np.float64)
        self._count_clipping(block)
        return block

    def _count_clipping(self, block: NDArray[np.float32]) -> None:
        joined = np.concatenate([self._tail, block], axis=1)
        self._tail = joined[:, joined.shape[1] - (CLIP_RUN - 1) :].copy()
        if not block.size or float(np.max(np.abs(block))) < CLIP_LEVEL:
            return
        high = np.abs(joined) >= CLIP_LEVEL
        run = high[:, 2:] & high[:, 1:-1] & high[:, :-2]
        same = (joined[:, 2:] == joined[:, 1:-1]) & (joined[:, 1:-1] == joined[:, :-2])
        self.clipped += int(np.count_nonzero(run & same))

    @property
    def dc_offset(self) -> float:
        """The mean sample of the channel where it is largest, full scale = 1."""
        return float(np.max(np.abs(self._sums))) / max(1, self.samples)

    def warnings(self) -> list[str]:
        """One sentence for each kind of trouble met so far."""
        found: list[str] = []
        if self.not_finite:
            found.append(f"{self.not_finite} samples are NaN, infinite or beyond ±{ABSURD:g}; treated as silence")
        if self.clipped:
            found.append(f"the input is clipped ({self.clipped} samples stuck at full scale); stems keep what is left")
        if self.samples >= DC_SAMPLES and self.dc_offset > DC_LEVEL:
            found.append(
                f"the input has a DC offset of {100 * self.dc_offset:.1f} % of full scale, which the stems share"
            )
        return found
