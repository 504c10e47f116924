"""HS-TasNet (PyPI ``hs-tasnet``) as a peer. Knows its checkpoint and its order of stems; trains nothing."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.resample import resample
from streamsep.config import SAMPLE_RATE
from streamsep.errors import OptionError

Sound = NDArray[np.float32]

SOURCES: tuple[str, ...] = ("drums", "bass", "vocals", "other")


class HSTasNet:
    """Mixture [2, n] at 48 kHz → stems.

    ``checkpoint`` is what ``HSTasNet.save`` wrote: it holds a pickle, so load none that you do not trust.
    Raises OptionError when the package or the checkpoint is missing or does not load.
    """

    def __init__(self, checkpoint: str) -> None:
        if not checkpoint or not Path(checkpoint).is_file():
            raise OptionError(
                f"hs-tasnet needs a checkpoint, '{checkpoint}' is none; write --system hs-tasnet:FILE.pt."
            )
        try:
            package: Any = importlib.import_module("hs_tasnet.hs_tasnet")
        except (ImportError, OSError, RuntimeError) as error:
            text = " ".join(str(error).split())
            raise OptionError(f"hs-tasnet cannot be imported here ({text}); pip install hs-tasnet.") from error
        try:
            self._model = package.HSTasNet.init_and_load_from(checkpoint).eval()
        except Exception as error:
            raise OptionError(
                f"'{checkpoint}' is no checkpoint of HS-TasNet; give what HSTasNet.save wrote."
            ) from error

    def __call__(self, mixture: Sound) -> dict[str, Sound]:
        return separate(self._model, mixture)


def separate(model: Any, mixture: Sound) -> dict[str, Sound]:
    """A loaded HSTasNet on a whole song [2, n] at 48 kHz, at the model's own rate."""
    import torch

    rate = int(model.sample_rate)
    sound = resample(mixture, SAMPLE_RATE, rate)
    samples = sound.shape[1]
    padded = np.pad(sound, [(0, 0), (0, -samples % model.segment_len)])
    with torch.inference_mode():
        found, _ = model(torch.from_numpy(padded)[None])
    stems = found[0, :, :, :samples].numpy()
    return {name: resample(np.ascontiguousarray(stems[i]), rate, SAMPLE_RATE) for i, name in enumerate(SOURCES)}
