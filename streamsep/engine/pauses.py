"""Keeps Python's garbage collector from holding up a process that must be in time. Knows nothing else."""

from __future__ import annotations

import gc


def settle() -> None:
    """To be called once all is loaded: what is there by now is never searched for garbage again.

    The search goes through all objects of torch and numba, 0.1 s in which no frame is computed; it comes rarely, as a
    rule when the first sessions have filled the youngest objects' generation.
    """
    gc.collect()
    gc.freeze()
