"""A loaded model is ready: nothing is compiled at the first sound, no thread is started; the disk keeps the code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, sys
import numpy as np, psutil, torch
from numba.core import event
from threadpoolctl import threadpool_info

with event.install_recorder("numba:compile") as loading:
    from streamsep.engine.separator import load
    from streamsep.serve.scheduler import measure

    separators = [load(sys.argv[1], render=render, threads=int(sys.argv[2])) for render in ("mask", "codec")]
before = psutil.Process().num_threads()
with event.install_recorder("numba:compile") as running:
    for separator in separators:
        for lookahead in (-1, 0, 2):
            stream = separator.stream(44_100, 1, lookahead)
            for _ in range(4):
                stream.push(np.zeros((1, 4_000), np.float32))
    measure(separators[0], 4, False, 1.0)
print(json.dumps({
    "loading": len(loading.buffer), "running": len(running.buffer),
    "threads": psutil.Process().num_threads() - before, "torch": torch.get_num_threads(),
    "blas": [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"],
}))
"""


def fresh(model: Path, threads: int) -> dict[str, int]:
    """What a new process tells of itself."""
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        env.pop(name, None)
    command = [sys.executable, "-c", CODE, str(model), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_loaded_model_is_ready(model: Path) -> None:
    first = fresh(model, 1)  # may have to compile, and keeps what it made
    assert first["running"] == 0
    again = fresh(model, 1)
    assert again["loading"] == again["running"] == 0
    for told in (first, again):
        assert told["threads"] == 0 and told["torch"] == 1 and set(told["blas"]) <= {1}


@pytest.mark.slow
def test_who_has_to_wait_for_compilation_is_told_so(model: Path, tmp_path: Path) -> None:
    env = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "NUMBA_CACHE_DIR": str(tmp_path),
        "STREAMSEP_KERNELS": "all:reference,mask_render:numba",  # one shows it in seconds, all of them take a minute
    }

    def said() -> str:
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            "import streamsep, sys; streamsep.load(sys.argv[1])",
            str(model),
        ]
        return subprocess.run(command, capture_output=True, text=True, env=env, check=True).stderr

    assert said().count("compiling for this machine") == 1
    assert said() == ""
