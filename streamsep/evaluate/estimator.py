"""The model as an estimator: one separation, every way of decoding. The only file here that needs torch, lazily."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import streamsep
from streamsep.config import SAMPLE_RATE
from streamsep.evaluate.metrics import Sound


class ModelEstimator:
    """A loaded model. Raises StreamsepError when it or its device is unknown."""

    def __init__(self, model: str = "tiny", device: str = "cpu") -> None:
        self._separator = streamsep.load(model, device)

    def estimates(self, mixture: Sound, lookahead: int) -> Iterable[tuple[str, Mapping[str, Sound]]]:
        """See ``Estimator``: hard tokens, soft latents, guide head, and the fused default render."""
        yield from self._separator.separate_all(mixture, SAMPLE_RATE, lookahead=lookahead).items()

    def latency(self, lookahead: int) -> int:
        return self._separator.stream(rate=SAMPLE_RATE, channels=2, lookahead=lookahead).latency
