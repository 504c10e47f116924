"""Everything that happens once, before the first sound: compiled kernels are loaded, or made and kept on disk.

Knows which ways a frame can take; a frame of silence goes each of them.
"""

from __future__ import annotations

import logging
import multiprocessing

import numpy as np

from kernels.numba.compile import noticing
from streamsep.config import FRAME, SAMPLE_RATE
from streamsep.engine.batch import Batch
from streamsep.engine.levels import Level
from streamsep.engine.settings import Settings
from streamsep.engine.stream import Stream
from streamsep.model.net import Net

_log = logging.getLogger(__name__)


def warm_up(net: Net, render: str, decode: str) -> None:
    """After this no step of ``net`` compiles anything on a CPU: alone, or in a batch with masked neighbours. A GPU's
    kernels differ by the number of streams, too: ``Batch.record`` takes care of those.
    """
    silence = np.zeros((2, FRAME), np.float32)
    settings = Settings(render, (decode,))
    with noticing(_say_so):
        Stream(net, settings, SAMPLE_RATE, 2).push(silence)
        batch = Batch(net, 3, settings)
        slots = [batch.open(0) for _ in range(3)]
        for level in Level:
            batch.tick({slots[0]: silence, slots[2]: silence}, level)


def _say_so() -> None:
    if multiprocessing.parent_process() is None:  # of several processes the first is enough
        _log.warning("streamsep: compiling for this machine, once: up to a minute ...")
