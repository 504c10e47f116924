"""A terminal that closes: what was begun is removed, unless nohup says to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_nohup_is_obeyed(run: Run) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run("--version")
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


_HOLDER = """
import sys, time
from streamsep import cli
from streamsep.live.core import Core, ModelOptions
from streamsep.live.gains import Gains

def hold(*arguments, **options):
    with Core(ModelOptions(), Gains()) as core:
        print(core.source.name, core.results.name, core.status.name, flush=True)
        while True:  # not one wait for a signal, which might come just before it
            time.sleep(0.05)

cli.build = lambda wanted: hold
cli.main([])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks for shared memory where Linux keeps it")
def test_a_terminal_that_closes_gives_shared_memory_back() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_DFL),  # whatever nohup says to these tests
    )
    assert process.stdout is not None
    names = [Path("/dev/shm", name) for name in process.stdout.readline().split()]
    assert len(names) == 3 and all(name.exists() for name in names)
    for _ in range(2):  # the system and the shell both send one, to all that run in the terminal
        os.killpg(process.pid, signal.SIGHUP)
    try:
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 129
    assert not any(name.exists() for name in names)
