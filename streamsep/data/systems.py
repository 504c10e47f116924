"""Separators other than ours, to compare with or to learn from: a command or callable from mixture to stems.

``name=command {input} {output}`` runs a program on a wav file; ``name=python:module:function`` calls
``function(mixture [2, n] float32, 48000)`` for a mapping of stems, ``name=python:module:function:argument`` in the same
way what ``function("argument")`` returns; ``demucs``, ``audio-separator`` and ``hs-tasnet`` are ready-made where they
are installed. Knows programs and files; measures nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.files import AUDIO_SUFFIXES
from streamsep.audio.writer import AudioWriter
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.data.sources import read_sound
from streamsep.errors import AudioError, OptionError, StreamsepError

Sound = NDArray[np.float32]

MAX_SECONDS = 7_200.0
_PYTHON = "python:"
# Name → package it needs, command; {model} is what stands after a colon.
READY: dict[str, tuple[str, str, str]] = {
    "demucs": ("demucs", "htdemucs", f"{shlex.quote(sys.executable)} -m demucs -n {{model}} -o {{output}} {{input}}"),
    "audio-separator": (
        "audio_separator",
        "htdemucs_ft.yaml",
        "audio-separator {input} -m {model} --output_dir {output} --output_format WAV",
    ),
}
HS_TASNET = "hs-tasnet"

Separate = Callable[[Sound], Mapping[str, Sound]]


class SeparatorError(StreamsepError):
    """A separator that failed on a song."""


class System:
    """A named separator: mixture [2, n] at 48 kHz → the stems that it gives, each [2, n]."""

    def __init__(self, name: str, separate: Separate) -> None:
        self.name, self._separate = name, separate

    def __call__(self, mixture: Sound) -> dict[str, Sound]:
        """Raises SeparatorError, in one sentence, when the separator fails or gives no stem."""
        try:
            found = self._separate(mixture)
            if not isinstance(found, Mapping):
                raise SeparatorError(f"gave a {type(found).__name__}, not a mapping from stems to sounds.")
            stems = {stem: _fitted(stem, found[stem], mixture.shape[1]) for stem in STEMS if stem in found}
        except SeparatorError as error:
            raise SeparatorError(f"the system '{self.name}' {error}") from error
        except StreamsepError:
            raise
        except Exception as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise SeparatorError(f"the system '{self.name}' failed: {text}.") from error
        if not stems:
            raise SeparatorError(f"the system '{self.name}' gave none of {', '.join(STEMS)}.")
        return stems


def system_name(text: str) -> str:
    """What the rows of a system are called."""
    return text.partition("=")[0].strip()


def system_files(text: str) -> list[Path]:
    """Files that a system's text names, such as weights, a script or a module: what it gives depends on them, too."""
    what = text.partition("=")[2]
    try:
        words = shlex.split(what)
    except ValueError:
        words = []
    words += [text.rpartition(":")[2], *_module_file(what)]
    return [Path(word) for word in dict.fromkeys(words) if os.path.isfile(word)]


def _module_file(what: str) -> list[str]:
    """Of ``python:module:function``: where the module lies."""
    if not what.startswith(_PYTHON):
        return []
    try:
        spec = importlib.util.find_spec(what.split(":")[1])
    except (ImportError, AttributeError, ValueError):
        return []
    return [spec.origin] if spec is not None and spec.origin else []


def parse_system(text: str) -> System:
    """See the module's docstring. Raises OptionError for what is none of it or is not installed."""
    name, equals, what = text.partition("=")
    name = name.strip()
    if not equals:
        return _ready(name)
    if not name or not what.strip():
        raise OptionError(f"--system '{text}' lacks a name or a command; write name=command {{input}} {{output}}.")
    if what.startswith(_PYTHON):
        return System(name, _callable(what[len(_PYTHON) :]))
    return System(name, _command(name, what))


def _ready(text: str) -> System:
    name, _, model = text.partition(":")
    if name == HS_TASNET:
        from streamsep.data.hs_tasnet import HSTasNet

        return System(text, HSTasNet(model))
    if name not in READY:
        known = ", ".join((*READY, HS_TASNET))
        raise OptionError(
            f"unknown system '{text}'; choose {known}, or write name=command {{input}} {{output}} "
            "or name=python:module:function."
        )
    package, usual, command = READY[name]
    if importlib.util.find_spec(package) is None:
        raise OptionError(f"{name} is not installed here; pip install {name}, or leave --system {name} out.")
    return System(text, _command(name, command.replace("{model}", shlex.quote(model or usual))))


def _command(name: str, template: str) -> Separate:
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise OptionError(f"the command of system '{name}' cannot be read: {error}.") from error
    if not any("{input}" in word for word in words) or not any("{output}" in word for word in words):
        raise OptionError(f"the command of system '{name}' must name {{input}}, a wav file, and {{output}}, a folder.")

    def separate(mixture: Sound) -> dict[str, Sound]:
        with tempfile.TemporaryDirectory(prefix="streamsep-") as folder:
            source, out = Path(folder) / "mixture.wav", Path(folder) / "stems"
            out.mkdir()
            with AudioWriter(source, SAMPLE_RATE, 2, bits="f32") as writer:
                writer.write(mixture)
            line = [word.replace("{input}", str(source)).replace("{output}", str(out)) for word in words]
            _run(line)
            return _read_stems(out)

    return separate


def _run(line: list[str]) -> None:
    try:
        done = subprocess.run(line, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    except OSError as error:
        raise SeparatorError(f"cannot be started: '{line[0]}': {error.strerror}.") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise SeparatorError(f"ended with code {done.returncode}: {said}")


def _read_stems(folder: Path) -> dict[str, Sound]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in AUDIO_SUFFIXES)
    found: dict[str, Sound] = {}
    for stem in STEMS:
        # "(vocals)", "song_vocals_model", "vocals", but not "no_vocals".
        pattern = re.compile(rf"(?<!no_)(?<!no )(?<![a-z]){stem}(?![a-z])")
        named = [path for path in files if path.stem.lower() == stem]
        named = named or [path for path in files if pattern.search(path.stem.lower())]
        if named:
            try:
                found[stem] = read_sound(named[0], MAX_SECONDS)
            except AudioError as error:
                raise SeparatorError(f"wrote a file that cannot be read: {error}") from error
    return found


def _callable(text: str) -> Separate:
    module, function, argument = (*text.split(":", 2), "", "")[:3]
    try:
        called: Any = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise OptionError(f"'{text}' cannot be imported ({error}); write python:module:function.") from error
    if argument:
        try:
            called = called(argument)
        except StreamsepError:
            raise
        except Exception as error:
            raise OptionError(f"'{text}' cannot be loaded: {' '.join(str(error).split())}.") from error
    return lambda mixture: called(mixture, SAMPLE_RATE)


def _fitted(stem: str, sound: Any, samples: int) -> Sound:
    """[channels, n] or [n] → [2, samples]: cut, or padded with silence. Raises SeparatorError for what is no sound."""
    wave = np.atleast_2d(np.asarray(sound, np.float32))
    if wave.ndim != 2 or wave.shape[0] not in (1, 2):
        raise SeparatorError(f"gave {stem} as {wave.shape}; a stem is [2, n], [1, n] or [n].")
    if not np.isfinite(wave).all():
        raise SeparatorError(f"gave samples that are no numbers, in {stem}.")
    wave = np.repeat(wave, 2, 0) if wave.shape[0] == 1 else wave
    wave = wave[:, :samples]
    return np.pad(wave, [(0, 0), (0, samples - wave.shape[1])])
