"""What a fresh process does until its first stem, with the time of every phase; ten more seconds for the memory.

Run by ``streamsep.profile.launch`` as ``python -m streamsep.profile.first_stem BEGIN MODEL DEVICE LOOKAHEAD RENDER``;
``BEGIN`` is ``time.perf_counter_ns()`` of the launching process. Prints one line of JSON. Imports nothing heavy before
it is its turn.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

_MORE = 250  # frames after the first stem


def main(begin: int, model: str, device: str, lookahead: int, render: str) -> None:
    marks = [("launch", begin)]

    def mark(name: str) -> None:
        marks.append((name, time.perf_counter_ns()))

    mark("interpreter")
    import numpy as np

    mark("import numpy")
    import torch  # noqa: F401  # pyright: ignore[reportUnusedImport]

    mark("import torch")
    import streamsep
    from streamsep.config import FRAME, SAMPLE_RATE
    from streamsep.engine import separator as engine

    mark("import streamsep")
    load_model = engine.load_model

    def marked(*arguments: object, **options: object) -> object:
        mark("set up")
        net = load_model(*arguments, **options)  # pyright: ignore[reportArgumentType]
        mark("read weights")
        return net

    engine.load_model = marked  # pyright: ignore[reportAttributeAccessIssue]
    separator = streamsep.load(model, device, render=render)
    mark("kernels and first frame")
    stream = separator.stream(SAMPLE_RATE, 2, lookahead)
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, FRAME)).astype(np.float32)
    while not stream.push(noise)["vocals"].shape[1]:
        pass
    mark("frames to first stem")
    for _ in range(_MORE):
        stream.push(noise)
    print(json.dumps({"marks": marks, "process": os.getpid(), "thread": threading.get_native_id(), **_memory()}))


def _memory() -> dict[str, float]:
    """MB resident now and at most."""
    import psutil

    info = psutil.Process().memory_info()
    peak = getattr(info, "peak_wset", 0) or peak_bytes()
    return {"resident": info.rss / 1e6, "peak": peak / 1e6}


def peak_bytes() -> int:
    """The most that was resident of this process; 0 on Windows."""
    if sys.platform == "win32":
        return 0
    if sys.platform == "linux":  # getrusage there begins with what the launching process had
        with open("/proc/self/status") as status:
            return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
