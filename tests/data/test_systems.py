"""Other separators: real programs and callables, and what is wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamsep.data.systems import SeparatorError, parse_system, system_files
from streamsep.errors import OptionError
from tests.sounds import tune

SCRIPT = """
import sys, soundfile
sound, rate = soundfile.read(sys.argv[1])
for name, gain in (("song_(Vocals)_model", 0.5), ("song_no_vocals", 9), ("Drums", 0.25)):
    soundfile.write(f"{sys.argv[2]}/{name}.wav", gain * sound[:-100], rate, subtype="FLOAT")
"""


def halves(mixture: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    assert rate == 48_000
    return {"bass": mixture / 2, "other": mixture[:1] / 2}


def test_a_program_writes_stems(tmp_path: Path) -> None:
    script = tmp_path / "my separator.py"
    script.write_text(SCRIPT)
    system = parse_system(f"mine={sys.executable} '{script}' {{input}} {{output}}")
    mixture = tune(0.5, 48_000)
    stems = system(mixture)
    assert system.name == "mine" and list(stems) == ["vocals", "drums"]
    np.testing.assert_allclose(stems["vocals"][:, :-100], 0.5 * mixture[:, :-100], atol=1e-6)
    assert not stems["vocals"][:, -100:].any() and stems["drums"].shape == mixture.shape


def test_a_callable_gives_stems() -> None:
    stems = parse_system(f"mine=python:{__name__}:halves")(tune(0.5, 48_000))
    np.testing.assert_array_equal(stems["bass"][0], stems["other"][1])


def louder(factor: str) -> Callable[[np.ndarray, int], dict[str, np.ndarray]]:
    gain = float(factor)
    return lambda mixture, rate: {"drums": mixture * gain}


def test_a_callable_can_be_made_from_an_argument() -> None:
    mixture = tune(0.5, 48_000)
    stems = parse_system(f"mine=python:{__name__}:louder:2.5")(mixture)
    np.testing.assert_array_equal(stems["drums"], mixture * 2.5)
    with pytest.raises(OptionError, match="cannot be loaded: could not convert"):
        parse_system(f"mine=python:{__name__}:louder:a:b")
    with pytest.raises(SeparatorError, match="failed"):
        parse_system(f"mine=python:{__name__}:louder")(mixture)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "unknown system 'nothing'"),
        ("=x {input} {output}", "lacks a name"),
        ("x=cat {input}", "must name {input}"),
        ("x=cat 'a {input} {output}", "cannot be read"),
        ("x=python:no_such_module:f", "cannot be imported"),
        ("hs-tasnet:none.pt", "needs a checkpoint"),
    ],
)
def test_what_is_no_system(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse_system(text)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-program {input} {output}", "cannot be started"),
        ("true {input} {output}", "gave none of vocals"),
        (f"{sys.executable} -c 'import sys; sys.exit(\"no memory\")' {{input}} {{output}}", "code 1: no memory"),
    ],
)
def test_a_program_that_fails_says_why(command: str, said: str) -> None:
    with pytest.raises(SeparatorError, match=said):
        parse_system(f"x={command}")(tune(0.1, 48_000))


def nothing(mixture: np.ndarray, rate: int) -> None:
    return None


def transposed(mixture: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    return {"drums": mixture.T}


def nested(mixture: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    return {"drums": mixture[None]}


def broken(mixture: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    return {"drums": np.where(np.arange(mixture.shape[1]) < 100, np.nan, mixture)}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("nothing", "'x' gave a NoneType, not a mapping"),
        ("transposed", r"'x' gave drums as \(4800, 2\)"),
        ("nested", r"'x' gave drums as \(1, 2, 4800\)"),
        ("broken", "'x' gave samples that are no numbers, in drums"),
    ],
)
def test_what_a_callable_gives_is_looked_at(function: str, said: str) -> None:
    with pytest.raises(SeparatorError, match=said):
        parse_system(f"x=python:{__name__}:{function}")(tune(0.1, 48_000))


def test_a_system_depends_on_its_module_and_its_words(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"w")
    files = system_files(f"x=python:{__name__}:louder:{tmp_path / 'weights.pt'}")
    assert {path.name for path in files} == {"weights.pt", "test_systems.py"}
    assert system_files("x=python:no.such.module:f") == [] == system_files("demucs")
