"""The model process by itself: where results go on after a gap, and that it ends when nobody needs it any more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamsep.live.ring import Ring
from streamsep.live.worker import WIDTH, _go_on
from tests.orphans import outlived_by_none

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
    outlived_by_none(_PARENT, tmp_path, model)


@pytest.mark.parametrize(("heard", "begin"), [(9_000, 0), (8_000, 0), (7_999, 8_000)])
def test_a_gap_takes_nothing_from_a_recording_and_is_never_heard(heard: int, begin: int) -> None:
    results = Ring.create(WIDTH, 1 << 15)
    try:
        results.write(np.ones((WIDTH, 5_000), np.float32))
        _go_on(results, 8_000, heard)
        assert (results.begin, results.end) == (begin, 8_000)
        if begin == 0:
            kept = results.read(0, 8_000)
            assert kept is not None and kept[:, :5_000].all() and not kept[:, 5_000:].any()
    finally:
        results.close()
