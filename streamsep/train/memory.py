"""Keep what the process has freed: large tensors come and go every step, and the system clears each page anew.

Measured on two cores: a step of the recipe ``tiny`` takes 1.18 s instead of 1.41 s. Knows the C library's allocator.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h of glibc
_NEVER, _PAD = 2**31 - 1, 64 * 2**20


def keep_freed_memory() -> bool:
    """Ask glibc for it; False where the C library is another one, which changes nothing but speed."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(*each) for each in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _PAD)))
