"""What the user of ``streamsep separate`` asks for, checked before anything heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streamsep.audio.writer import BITS, FORMATS, LOSSLESS, check_format
from streamsep.choices import DEVICES, RENDERS, check_choice, check_lookahead
from streamsep.config import STEMS
from streamsep.errors import OptionError

STREAMING, PAPER = "streaming", "paper"
MODES: tuple[str, ...] = (STREAMING, PAPER)


@dataclass(frozen=True)
class SeparateOptions:
    """Checked options. ``stems`` are the stems to write; with ``two_stems`` the pair is that stem and all the rest."""

    out: Path
    stems: tuple[str, ...] = STEMS
    two_stems: str | None = None
    format: str = "wav"
    bits: str | None = None
    render: str = "mask"
    lookahead: int = 0
    seed: int | None = None
    model: str = "tiny"
    device: str = "cpu"
    overwrite: bool = False
    threads: int | None = None
    mode: str = STREAMING

    def __post_init__(self) -> None:
        """Raise OptionError for the first value that makes no sense."""
        for stem in (*self.stems, *([self.two_stems] if self.two_stems else [])):
            if stem not in STEMS:
                raise OptionError(f"unknown stem '{stem}'; choose among {', '.join(STEMS)}.")
        if not self.stems:
            raise OptionError(f"no stem is named; choose among {', '.join(STEMS)}.")
        if self.two_stems and self.stems != STEMS:
            raise OptionError("--stems and --two-stems exclude each other; leave one out.")
        check_choice("format", self.format, FORMATS)
        if self.bits is not None:
            check_choice("bit depth", self.bits, BITS)
        check_format(self.format, self.depth, 44_100, 2)
        check_choice("render", self.render, RENDERS)
        check_choice("device", self.device, DEVICES)
        check_choice("mode", self.mode, MODES)
        if self.mode == PAPER and self.lookahead:
            raise OptionError(
                "--lookahead is for the streaming mode, the mode paper hears whole segments; leave it out."
            )
        check_lookahead(self.lookahead)
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"--threads {self.threads} leaves nobody to work; give 1 or more.")

    @property
    def depth(self) -> str | None:
        """The bit depth to write: as asked, else 24 where the format has one."""
        return self.bits or ("24" if self.format in LOSSLESS else None)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the files of a song, without suffix."""
        return (self.two_stems, f"no_{self.two_stems}") if self.two_stems else self.stems

    @property
    def complete(self) -> bool:
        """Whether the files of a song are meant to sum to it."""
        return self.two_stems is not None or set(self.stems) == set(STEMS)


def parse_stems(text: str | None) -> tuple[str, ...]:
    """``"drums, vocals"`` → the stems named, in the model's order; all for None. Unknown names stay, to be refused."""
    if text is None:
        return STEMS
    named = [name.strip().lower() for name in text.split(",") if name.strip()]
    known = tuple(stem for stem in STEMS if stem in named)
    return known + tuple(name for name in named if name not in STEMS)
