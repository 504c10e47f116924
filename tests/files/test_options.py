"""Options: what belongs together and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamsep.config import STEMS
from streamsep.errors import OptionError
from streamsep.files.options import SeparateOptions, parse_stems


def test_stems_are_read_in_any_order_and_case() -> None:
    assert parse_stems(None) == STEMS
    assert parse_stems(" Bass,vocals ,") == ("vocals", "bass")
    assert parse_stems("bass,bass") == ("bass",)
    assert parse_stems("piano") == ("piano",)


@pytest.mark.parametrize(
    ("format", "bits", "depth"),
    [("wav", None, "24"), ("flac", None, "24"), ("wav", "f32", "f32"), ("mp3", None, None), ("ogg", None, None)],
)
def test_the_bit_depth_is_24_where_there_is_one(format: str, bits: str | None, depth: str | None) -> None:
    assert SeparateOptions(Path("out"), format=format, bits=bits).depth == depth


def test_outputs_and_completeness() -> None:
    whole = SeparateOptions(Path("out"))
    assert (whole.outputs, whole.complete) == (STEMS, True)
    pair = SeparateOptions(Path("out"), two_stems="drums")
    assert (pair.outputs, pair.complete) == (("drums", "no_drums"), True)
    assert not SeparateOptions(Path("out"), stems=("bass",)).complete


@pytest.mark.parametrize("bad", [{"stems": ("piano",)}, {"stems": ()}, {"lookahead": 3}, {"threads": 0}, {"bits": "8"}])
def test_every_refusal_is_an_option_error(bad: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        SeparateOptions(Path("out"), **bad)  # pyright: ignore[reportArgumentType]
