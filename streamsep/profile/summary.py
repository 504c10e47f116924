"""Times → percentiles and how sure they are. Knows numbers; measures nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_BLOCK = 25  # frames that are drawn together: what disturbs one frame disturbs its neighbours
_DRAWS = 200
QUANTILES: dict[str, float] = {"p50": 50, "p95": 95, "p99": 99}


def summary(times: Values) -> dict[str, float]:
    """``times`` [frames] ms → mean, p50, p95, p99, max, and the noise of p50 and p99."""
    found = {
        name: float(value) for name, value in zip(QUANTILES, np.percentile(times, [*QUANTILES.values()]), strict=True)
    }
    noise = {f"{name}_noise": bootstrap(times, QUANTILES[name]) for name in ("p50", "p99")}
    return {
        name: round(value, 4)
        for name, value in {"mean": float(times.mean()), **found, "max": float(times.max()), **noise}.items()
    }


def bootstrap(times: Values, percentile: float) -> float:
    """Standard error of a percentile by bootstrap of blocks of a second (Künsch, Annals of Statistics 17, 1989).

    It holds what varies within a run. Zero for fewer frames than two blocks have.
    """
    count = len(times) // _BLOCK
    if count < 2:
        return 0.0
    blocks = times[: count * _BLOCK].reshape(count, _BLOCK)
    drawn = np.random.default_rng(0).integers(0, count, (_DRAWS, count))
    return float(np.percentile(blocks[drawn].reshape(_DRAWS, -1), percentile, axis=1).std())


def change(old: dict[str, Any], new: dict[str, Any], name: str) -> dict[str, float | bool] | None:
    """How ``name`` (p50 or p99) of two summaries differs: ms, ratio, noise of the difference, and whether it is more
    than twice the noise. None when one of them lacks it.
    """
    if name not in old or name not in new:
        return None
    noise = float(np.hypot(old.get(f"{name}_noise", 0.0), new.get(f"{name}_noise", 0.0)))
    difference = new[name] - old[name]
    return {
        "old": old[name],
        "new": new[name],
        "change": round(difference, 4),
        "ratio": round(new[name] / old[name], 4) if old[name] else float("nan"),
        "noise": round(noise, 4),
        "sure": abs(difference) > 2 * noise,
    }
