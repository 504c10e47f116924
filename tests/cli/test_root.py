"""The root: quick help, lazy commands, exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from streamsep import cli
from streamsep.errors import StreamsepError
from tests.cli.conftest import Run

HEAVY = "torch numpy scipy numba soundfile av soxr matplotlib"


def fresh(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("line", ["import streamsep", "from streamsep.cli import main; main(['--help'])"])
def test_import_and_help_load_nothing_heavy(line: str) -> None:
    code = f"""
import atexit, sys
atexit.register(lambda: print('heavy:', sorted(set(sys.modules) & set('{HEAVY}'.split()))))
{line}
"""
    done = fresh(code)
    assert done.returncode == 0
    assert done.stdout.endswith("heavy: []\n")


def test_help_takes_less_than_a_third_of_a_second() -> None:
    code = """
import os, subprocess, sys
subprocess.run([sys.executable, '-m', 'streamsep', '--help'], check=True, stdout=subprocess.DEVNULL)
print(os.times().children_user + os.times().children_system)
"""
    # Processor time, which a busy machine does not stretch; the best of three.
    assert min(float(fresh(code).stdout) for _ in range(3)) < 0.3


def test_help_names_every_command(run: Run) -> None:
    result = run("--help")
    assert result.code == 0
    for command in cli.COMMANDS:
        assert f"  {command.name} " in result.out
        assert command.help in result.out


@pytest.mark.parametrize("command", [command.name for command in cli.COMMANDS])
def test_every_commands_help_ends_with_examples(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.code == 0
    assert "Examples:" in result.out
    assert f"streamsep {command}" in result.out.split("Examples:")[1]


def test_version(run: Run) -> None:
    result = run("--version")
    assert (result.code, result.out) == (0, "streamsep 0.1.0\n")


def test_unknown_commands_and_options_are_usage_errors(run: Run) -> None:
    assert run("sparate").code == 2
    result = run("separate", "--loud")
    assert result.code == 2
    assert "--loud" in result.err
    result = run("doctor", "--no-speed", "--device", "foo")
    assert result.code == 2 and "unknown device 'foo'" in result.err


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> type[BaseException]:
    """``streamsep separate`` raises what ``failing.error`` holds."""

    class Failing:
        error: BaseException = StreamsepError("the thing is broken; mend it.")

    def build(wanted: object) -> typer.Typer:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command()
        def command() -> None:
            raise Failing.error

        return app

    monkeypatch.setattr(cli, "build", build)
    return Failing  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StreamsepError("the thing is broken; mend it."), 2, "streamsep: the thing is broken; mend it.\n"),
        (KeyboardInterrupt(), 130, ""),
        (ValueError("odd\nnumber"), 1, "internal error, ValueError: odd number (STREAMSEP_DEBUG=1 shows where)."),
    ],
)
def test_failures_are_one_line_and_an_exit_code(
    run: Run, failing: type, error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREAMSEP_DEBUG", raising=False)
    failing.error = error
    result = run()
    assert result.code == code
    assert said in result.err
    assert result.err.count("\n") <= 1
    assert result.out == ""


def test_debugging_shows_where(failing: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMSEP_DEBUG", "1")
    with pytest.raises(StreamsepError):
        cli.main([])
