"""Runs the command line in this process: the model is imported once for all tests."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from streamsep.cli import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """``run("separate", song, "-o", out)`` → exit code, stdout, stderr of ``streamsep separate …``."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        code = left.value.code
        return Result(code if isinstance(code, int) else int(code is not None), captured.out, captured.err)

    yield call
    for number, handler in before.items():
        signal.signal(number, handler)
