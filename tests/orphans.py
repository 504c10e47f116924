"""A program that kills itself, and whether what it has started ends with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path


def outlived_by_none(text: str, folder: Path, *arguments: object) -> None:
    """Run the Python program ``text``, which ends itself by SIGKILL; asserts that all its processes end within 60 s."""
    program = folder / "parent.py"
    program.write_text(text)
    command = [sys.executable, program, *(str(argument) for argument in arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        process.communicate(timeout=60)  # all that it has started hold its output, which ends with the last of them
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -9
