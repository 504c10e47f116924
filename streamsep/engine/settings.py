"""What is computed for a stream, or for all streams of a batch. Knows names; computes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamsep.choices import CODEC, FUSED, GUIDE, MASK
from streamsep.config import STEMS
from streamsep.engine.levels import Level
from streamsep.lm import LIVE, Decoding
from streamsep.model.net import Net


@dataclass(frozen=True)
class Settings:
    """``decodes``: one or more ways of decoding, each rendered; the codec render knows one. ``tokens``: run the
    language model even where no sound needs it. ``feedback``: other than ``LIVE``'s, for ablations.
    """

    render: str = MASK
    decodes: tuple[str, ...] = (FUSED,)
    tokens: bool = False
    feedback: str | None = None

    @property
    def rows(self) -> int:
        """Stems that come out: those of one way of decoding after those of another."""
        return len(self.decodes) * len(STEMS)

    def draws(self, level: Level) -> bool:
        """Whether tokens are chosen at ``level``; where none are, a seed changes nothing."""
        if level == Level.DRY:
            return False
        decodes = self.decodes if level == Level.FULL else (GUIDE,)
        return self.render == CODEC or self.tokens or decodes != (GUIDE,)


PLAIN = Settings()


def decoding_of(net: Net, settings: Settings, drawn: bool) -> Decoding:
    """How tokens are chosen under ``settings``; ``drawn`` at random, or the likeliest."""
    return replace(
        LIVE,
        temperature=1.0 if drawn else 0.0,
        feedback=settings.feedback or LIVE.feedback,
        within="hard" if drawn else LIVE.within,  # what is drawn must be heard by what is drawn next
        codebooks=net.config.codec.codebooks if settings.render == CODEC else None,
    )
