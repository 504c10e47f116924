"""Teachers of an H-Codec-2.0: samples → the features its semantic tokens describe. Knows HuBERT by its files only.

HuBERT is a transformer over the whole utterance: **not causal**. Anything else that gives as many channels at 50 Hz can
stand in its place; only HuBERT gives what the published weights were trained on.
"""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from streamsep.codec.hcodec2.config import HCodec2Config
from streamsep.errors import OptionError, StreamsepError

HUBERT_RATE = 16_000
_EDGE = 160  # zeros on both sides, so that 320 samples are one frame
_ZERO_CROSSINGS = 6
_ROLLOFF = 0.99


class Teacher(Protocol):
    """Features of whole utterances."""

    def __call__(self, wave: Tensor) -> Tensor:
        """``wave`` [B, L] at the codec's rate, L whole tokens → [B, C, L / 960] at 50 Hz, not compressed."""
        ...


def resample(wave: Tensor, rate: int, target: int) -> Tensor:
    """[B, L] at ``rate`` → [B, ceil(L·target / rate)]: a sinc of 6 zero crossings under a Hann window, rolloff 0.99.

    The common default of training pipelines, kept for features that a net was trained on; sound itself is resampled
    by ``streamsep.audio.resample``.
    """
    common = math.gcd(rate, target)
    down, up = rate // common, target // common
    if down == up:
        return wave
    cutoff = min(down, up) * _ROLLOFF
    width = math.ceil(_ZERO_CROSSINGS * down / cutoff)
    taps = torch.arange(-width, width + down, dtype=torch.float64) / down
    time = (taps[None] - torch.arange(up, dtype=torch.float64)[:, None] / up) * cutoff
    time = time.clamp(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = torch.cos(time * torch.pi / (2 * _ZERO_CROSSINGS)).square()
    filters = (torch.sinc(time) * window * cutoff / down).to(wave)
    padded = F.pad(wave, (width, width + down))[:, None]
    out = F.conv1d(padded, filters[:, None], stride=down).transpose(1, 2).flatten(1)
    return out[:, : -(-wave.shape[-1] * up // down)]


class HubertTeacher:
    """The mean of all hidden states of a HuBERT. ``model`` is one of ``transformers``, see :meth:`load`."""

    def __init__(self, model: Any, rate: int) -> None:
        self.model, self.rate = model, rate

    @staticmethod
    def load(folder: Path, rate: int, device: torch.device | str = "cpu") -> HubertTeacher:
        """From a local folder as ``save_pretrained`` writes it; nothing is fetched and no code of it is run.

        Raises StreamsepError when ``transformers`` is absent or the folder holds no such model.
        """
        try:
            from transformers import AutoModel  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise StreamsepError(
                "HuBERT features need the package transformers: pip install 'streamsep[semantic]'."
            ) from error
        if not (folder / "config.json").is_file():
            raise StreamsepError(
                f"'{folder}' holds no HuBERT (config.json and weights); put a copy of bosonai/hubert_base there."
            )
        try:
            model = AutoModel.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            first = str(error).strip().splitlines()[0]
            raise StreamsepError(f"'{folder}' cannot be loaded as a HuBERT: {first}.") from error
        return HubertTeacher(model.eval().requires_grad_(False).to(device), rate)

    @torch.no_grad()
    def __call__(self, wave: Tensor) -> Tensor:
        sound = F.pad(resample(wave, self.rate, HUBERT_RATE), (_EDGE, _EDGE))
        states = self.model(sound, output_hidden_states=True).hidden_states
        return torch.stack(states).mean(0).transpose(1, 2)


def open_teacher(name: str, config: HCodec2Config, device: torch.device | str = "cpu") -> Teacher:
    """A folder with a HuBERT, or ``module:name``, which is called with ``config`` and returns a teacher.

    Raises StreamsepError or OptionError when there is neither.
    """
    module, colon, attribute = name.partition(":")
    if not colon or Path(name).exists():
        return HubertTeacher.load(Path(name), config.sampling_rate, device)
    try:
        return getattr(importlib.import_module(module), attribute)(config)
    except (ImportError, AttributeError, ValueError) as error:
        raise OptionError(f"'{name}' is neither a folder nor a teacher that can be imported: {error}.") from error


def check_features(features: Tensor, config: HCodec2Config, frames: int) -> None:
    """Raise StreamsepError when a teacher's ``features`` are not [B, input_channels, frames]."""
    wanted = [config.semantic_encoder_config.input_channels, frames]
    if list(features.shape[1:]) != wanted:
        raise StreamsepError(
            f"the teacher's features are {list(features.shape[1:])}, the codec needs {wanted} (channels, frames of "
            "20 ms); use the teacher that it was trained with."
        )
