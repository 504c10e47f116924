"""What is measured: models, other systems and oracles, each as something that gives rows of estimates for a song.

Knows how to load them; measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamsep.choices import FUSED
from streamsep.config import STEMS
from streamsep.data.systems import parse_system
from streamsep.evaluate.masks import ideal_stems
from streamsep.evaluate.metrics import Sound
from streamsep.evaluate.scores import IDEAL_BANDS, IDEAL_BINS, Row
from streamsep.evaluate.songs import TrueStems

Estimates = Iterator[tuple[Row, Mapping[str, Sound]]]


class Estimator(Protocol):
    """Anything that takes mixtures apart."""

    def estimates(self, mixture: Sound, lookahead: int) -> Iterable[tuple[str, Mapping[str, Sound]]]:
        """``mixture`` [2, n] float32 at 48 kHz → pairs of a decoding's name and its stems, each [2, n], aligned."""
        ...

    def latency(self, lookahead: int) -> int:
        """Samples at 48 kHz."""
        ...


class Entry(Protocol):
    """Gives rows for a song; ``pieces`` is how many pieces of work that is, for a progress bar."""

    pieces: int

    def __call__(self, song: TrueStems) -> Estimates: ...


@dataclass(frozen=True)
class Plan:
    """What stands in the table beside the mixture and the ideal masks."""

    model: str = "tiny"
    device: str = "cpu"
    baselines: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    lookaheads: tuple[int, ...] = (0,)
    token_oracles: bool = False


class IdealMasks:
    """The ratio mask of the true stems: the most that a mask can do, per bin and at the model's resolution."""

    pieces = 1

    def __call__(self, song: TrueStems) -> Estimates:
        for name, bands in ((IDEAL_BINS, False), (IDEAL_BANDS, True)):
            yield Row(name), dict(zip(STEMS, ideal_stems(song.stems, bands), strict=True))


class ModelEntry:
    """Every decoding of a model at every lookahead; ``name`` stands before the decoding's when there are several."""

    def __init__(self, estimator: Estimator, lookaheads: Sequence[int], name: str = "", only: str = "") -> None:
        self._estimator, self._lookaheads, self._name, self._only = estimator, lookaheads, name, only
        self.pieces = len(lookaheads)

    def __call__(self, song: TrueStems) -> Estimates:
        for lookahead in self._lookaheads:
            for decoding, stems in self._estimator.estimates(song.mixture, lookahead):
                if self._only in ("", decoding):
                    yield Row(self._name or decoding, lookahead), stems


class TokenOracles:
    """Codec round trip and masks from true tokens, of a model's codec."""

    pieces = 1

    def __init__(self, model: str, device: str) -> None:
        import streamsep

        self._net = streamsep.load(model, device).net

    def __call__(self, song: TrueStems) -> Estimates:
        from streamsep.evaluate.oracles import token_oracles

        for name, stems in token_oracles(self._net, song.stems).items():
            yield Row(name), dict(zip(STEMS, stems, strict=True))


class SystemEntry:
    """Another separator."""

    pieces = 1

    def __init__(self, text: str) -> None:
        self._system = parse_system(text)

    def __call__(self, song: TrueStems) -> Estimates:
        yield Row(self._system.name), self._system(song.mixture)


def load_entries(plan: Plan) -> list[Entry]:
    """Load all of it. Raises StreamsepError when a model, a device or a system is unknown or missing."""
    from streamsep.evaluate.estimator import ModelEstimator

    entries: list[Entry] = [IdealMasks()]
    if plan.token_oracles:
        entries.append(TokenOracles(plan.model, plan.device))
    entries.append(ModelEntry(ModelEstimator(plan.model, plan.device), plan.lookaheads))
    for name in plan.baselines:
        entries.append(ModelEntry(ModelEstimator(name, plan.device), plan.lookaheads, baseline_name(name), FUSED))
    entries.extend(SystemEntry(text) for text in plan.systems)
    return entries


def baseline_name(model: str) -> str:
    """What a baseline's rows are called."""
    return f"baseline {model}"


def plan_pieces(plan: Plan) -> int:
    """Pieces of work that a song is, without loading anything."""
    return 1 + int(plan.token_oracles) + len(plan.lookaheads) * (1 + len(plan.baselines)) + len(plan.systems)
