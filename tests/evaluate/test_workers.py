"""Processes that measure songs: none outlives whoever would read what it measures."""

from __future__ import annotations

from pathlib import Path

from tests.orphans import outlived_by_none

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
    outlived_by_none(_PARENT, tmp_path)
