"""What every decoder of sound files offers. Knows no library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class AudioInfo:
    """What a sound file holds. ``samples`` (per channel) is None where only decoding can tell; ``estimate`` may err."""

    path: Path
    rate: int  # Hz
    channels: int
    samples: int | None
    codec: str
    estimate: int | None = None  # samples, for a progress bar

    @property
    def seconds(self) -> float | None:
        return None if self.samples is None else self.samples / self.rate


class Decoder(Protocol):
    """One open file of one library. ``read(n)`` gives ``[channels, ≤ n]`` float32, empty at the end."""

    info: AudioInfo
    warnings: list[str]  # what was passed over, one sentence each

    def read(self, n: int) -> NDArray[np.float32]: ...
    def close(self) -> None: ...
