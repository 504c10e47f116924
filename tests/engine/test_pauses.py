"""What was loaded is not searched for garbage."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import gc
import torch
from streamsep.engine.pauses import settle

held = [[n] for n in range(1_000)]
settle()
ring = []
ring.append(ring)
del ring
print(any(each is held[0] for each in gc.get_objects()), gc.get_freeze_count() > 50_000, gc.collect() >= 1)
"""


def test_what_is_there_is_passed_over_and_new_garbage_is_found() -> None:
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True", "True"]
