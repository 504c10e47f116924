"""In which order the codes of one frame are emitted, and which code may see which. Knows integers only.

Step at which stem s emits codebook q, S = 3 stems, Q = 3 codebooks:

    wavefront   q 0 1 2      sequential   q 0 1 2      parallel   q 0 1 2
          s 0     0 1 2             s 0     0 1 2           s 0     0 1 2
          s 1     1 2 3             s 1     3 4 5           s 1     0 1 2
          s 2     2 3 4             s 2     6 7 8           s 2     0 1 2

The semantic codebooks come first and never see an acoustic one, so that they are the same whether or not acoustic codes
are generated too.
"""

from __future__ import annotations

from dataclasses import dataclass

ORDERS = ("wavefront", "sequential", "parallel")


@dataclass(frozen=True)
class Place:
    """One code of the frame."""

    stem: int
    codebook: int


def _step(order: str, stems: int, semantic: int, codebooks: int, place: Place) -> int:
    if order == "wavefront":
        return place.stem + place.codebook
    if order == "parallel":
        return place.codebook
    if place.codebook < semantic:
        return place.stem * semantic + place.codebook
    return stems * semantic + place.stem * (codebooks - semantic) + place.codebook - semantic


def schedule(order: str, stems: int, semantic: int, codebooks: int) -> list[list[Place]]:
    """Places by step; within a step by rising codebook (so that per-codebook weights are a slice), then stem.

    Raises ValueError for an unknown order.
    """
    if order not in ORDERS:
        raise ValueError(f"unknown order '{order}': choose one of {', '.join(ORDERS)}")
    places = [Place(s, q) for q in range(codebooks) for s in range(stems)]
    steps: dict[int, list[Place]] = {}
    for place in places:
        steps.setdefault(_step(order, stems, semantic, codebooks, place), []).append(place)
    return [steps[j] for j in sorted(steps)]


def visible(order: str, stems: int, semantic: int, codebooks: int) -> list[list[bool]]:
    """Whether place i may attend to place j, ``[S·Q][S·Q]``, places counted stem by stem (s · Q + q).

    A place's input holds only codes emitted before its step, so attending within a step is causal.
    """
    step = {place: j for j, places in enumerate(schedule(order, stems, semantic, codebooks)) for place in places}
    flat = [Place(s, q) for s in range(stems) for q in range(codebooks)]

    def sees(a: Place, b: Place) -> bool:
        crosses = b.codebook >= semantic > a.codebook
        stranger = order == "parallel" and a.stem != b.stem
        return step[b] <= step[a] and not crosses and not stranger

    return [[sees(a, b) for b in flat] for a in flat]
