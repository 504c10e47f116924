"""Case and Cost: what an op's file says about itself to tests and benchmarks. Knows no op."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One named set of sizes, e.g. ``Case("tiny", {"batch": 1, "dim": 256})``."""

    name: str
    sizes: dict[str, int]


@dataclass(frozen=True)
class Cost:
    """What an op must at least do: ``flops`` multiply-adds counted twice, ``bytes`` moved to or from memory."""

    flops: int
    bytes: int
