"""The demo's steps: compose, stream, measure, draw, write. Speaks only through what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

import streamsep
from streamsep.choices import check_lookahead
from streamsep.config import FRAME, SAMPLE_RATE, STEMS
from streamsep.demo.display import Display
from streamsep.demo.folder import check_folder, write_folder
from streamsep.demo.picture import draw
from streamsep.demo.player import play
from streamsep.demo.report import captions, measure
from streamsep.demo.song import compose_song
from streamsep.engine.pauses import settle
from streamsep.errors import OptionError
from streamsep.evaluate.timing import FRAME_MS, frame_summary

MIN_SECONDS, MAX_SECONDS = 2.0, 600.0


@dataclass(frozen=True)
class DemoOptions:
    """Checked options. ``paced`` streams as slowly as the song plays."""

    out: Path
    seconds: float = 20.0
    seed: int = 0
    lookahead: int = 0
    model: str = "tiny"
    device: str = "cpu"
    paced: bool = True

    def __post_init__(self) -> None:
        """Raise OptionError for the first value that makes no sense."""
        if not MIN_SECONDS <= self.seconds <= MAX_SECONDS:
            raise OptionError(f"--seconds {self.seconds:g} is outside {MIN_SECONDS:g} to {MAX_SECONDS:g}.")
        if self.seed < 0:
            raise OptionError(f"--seed {self.seed} is negative; give 0 or more.")
        check_lookahead(self.lookahead)


def run_demo(options: DemoOptions, console: Console) -> dict[str, Any]:
    """Run it all and return the report that is also written to the folder.

    Raises OutputError before any work when the folder cannot be used, StreamsepError when the model is unknown.
    """
    check_folder(options.out)
    separator = streamsep.load(options.model, options.device)
    console.print(f"composing {options.seconds:g} s of music (seed {options.seed}) …")
    song = compose_song(options.seconds, options.seed)
    stream = separator.stream(rate=SAMPLE_RATE, channels=2, lookahead=options.lookahead)
    pace = "in real time" if options.paced else "as fast as it goes"
    console.print(f"streaming it through '{options.model}' {pace} …")
    settle()
    with Display(console, song.seconds, FRAME_MS) as display:
        played = play(stream, song.mixture, SAMPLE_RATE, FRAME, options.paced, display.heard)
    report: dict[str, Any] = {
        "model": options.model,
        "device": options.device,
        "seed": options.seed,
        "lookahead": options.lookahead,
        "rate": SAMPLE_RATE,
        "seconds": round(song.seconds, 3),
        "paced": options.paced,
        "latency_samples": stream.latency,
        "latency_ms": round(1_000 * stream.latency / SAMPLE_RATE, 3),
        "timing": {**frame_summary(played.frame_ms), "wall_seconds": round(played.wall_seconds, 3)},
        **measure(song, played.stems),
    }
    true = dict(zip(STEMS, song.stems, strict=True))
    title = (
        f"model '{options.model}', lookahead {options.lookahead}, latency {report['latency_ms']:.0f} ms; "
        "SI-SDR of each stem beside that of the mixture"
    )

    def picture(path: Path) -> None:
        draw(path, song.mixture, played.stems, true, SAMPLE_RATE, title, captions(report))

    console.print("drawing and writing …")
    files = write_folder(options.out, SAMPLE_RATE, song.mixture, played.stems, true, picture, report)
    return {**report, "files": [str(path) for path in files]}
