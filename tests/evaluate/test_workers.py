"""Processes that measure songs: none outlives whoever would read what it measures."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

_PARENT = """
import multiprocessing, os, signal
from streamsep.evaluate.workers import _work

class Nothing:
    options = None
    def load(self):
        return [], []

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    tasks, events = context.Queue(), context.Queue()
    process = context.Process(target=_work, args=(Nothing(), [], tasks, events), daemon=True)
    process.start()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(_PARENT)
    process = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, start_new_session=True)
    try:
        process.communicate(timeout=60)  # all that it has started hold its output, which ends with the last of them
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -9
