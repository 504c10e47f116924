"""The model process by itself: it ends when nobody needs it any more."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

_PARENT = """
import multiprocessing, os, signal, sys
from streamsep.live.core import Core, ModelOptions
from streamsep.live.gains import Gains

if __name__ == "__main__":
    core = Core(ModelOptions(model=sys.argv[1]), Gains())
    core.supervisor.start()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_parent_that_is_killed_before_its_model_process_is_awake_leaves_none(model: Path, tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(_PARENT)
    process = subprocess.Popen([sys.executable, program, model], stdout=subprocess.PIPE, start_new_session=True)
    try:
        process.communicate(timeout=60)  # all that it has started hold its output, which ends with the last of them
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -9
