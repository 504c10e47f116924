"""Frame times summed up. Knows the frame's length in time; measures nothing itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamsep.config import FRAME, SAMPLE_RATE

FRAME_MS = 1_000 * FRAME / SAMPLE_RATE


def frame_summary(times: Sequence[float], frame_ms: float = FRAME_MS) -> dict[str, float | int]:
    """``times`` in ms (one or more) → median, 99th percentile, largest, how many took longer than a frame lasts, and
    the real-time factor: mean time over the frame's length.
    """
    values = np.asarray(times, np.float64)
    return {
        "frames": len(times),
        "median_ms": round(float(np.median(values)), 3),
        "p99_ms": round(float(np.percentile(values, 99)), 3),
        "max_ms": round(float(values.max()), 3),
        "late_frames": int(np.count_nonzero(values > frame_ms)),
        "real_time_factor": round(float(values.mean()) / frame_ms, 4),
    }
