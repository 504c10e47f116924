"""Drum patterns of several genres, humanised, with fills and breaks. Knows roles and beats; knows nothing of sound."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.random import Generator

from streamsep.data.arrange import Plan, Section

# Sixteen steps to the bar: x loud, o soft, . silent.
_PATTERNS: dict[str, tuple[dict[str, str], ...]] = {
    "rock": (
        {"kick": "x.......x.......", "snare": "....x.......x...", "hat": "x.o.x.o.x.o.x.o."},
        {"kick": "x.....x.x.......", "snare": "....x.......x...", "hat": "x.o.x.o.x.o.x.o."},
        {"kick": "x..x..x...x.....", "snare": "....x.......x..o", "ride": "x.o.x.o.x.o.x.o."},
    ),
    "pop": (
        {"kick": "x......xx.......", "snare": "....x.......x...", "hat": "xoxoxoxoxoxoxoxo"},
        {"kick": "x...x...x...x...", "snare": "....x.......x...",
         "hat": "..x...x...x...x.", "clap": "....x.......x..."},
    ),
    "house": (
        {"kick": "x...x...x...x...", "clap": "....x.......x...", "open": "..x...x...x...x.", "hat": "oooooooooooooooo"},
        {"kick": "x...x...x...x...", "snare": "....x.......x...",
         "hat": "..x...x...x...x.", "perc": "...x..o....x..o."},
    ),
    "techno": (
        {"kick": "x...x...x...x...", "open": "..x...x...x...x.", "perc": "..o..x..o..x...o", "rim": "...x.....x......"},
        {"kick": "x...x...x...x..o", "hat": "oxooxxooxooxxoox", "clap": "....x.......x..."},
    ),
    "hiphop": (
        {"kick": "x.....x..x......", "snare": "....x.......x...", "hat": "x.o.x.o.x.o.x.oo"},
        {"kick": "x..x......xx....", "snare": "....x..o....x...", "hat": "x.x.x.x.x.x.x.x."},
    ),
    "trap": (
        {"kick": "x.....x...x.....", "clap": "........x.......", "hat": "xoxoxoxoxoxoxoxo"},
        {"kick": "x..x......x..x..", "snare": "........x.......",
         "hat": "x.xoxxx.x.xox.xx", "open": "......x........."},
    ),
    "dnb": (
        {"kick": "x.........x.....", "snare": "....x.......x...",
         "hat": "x.o.x.o.x.o.x.o.", "ride": "x...x...x...x..."},
        {"kick": "x.x.......x.....", "snare": "....x..o.o..x..o", "hat": "xoxoxoxoxoxoxoxo"},
    ),
    "funk": (
        {"kick": "x.x....o..x..o..", "snare": "....x..o.o..x..o", "hat": "xxoxxxoxxxoxxxox"},
        {"kick": "x..x..x...x.....", "snare": "..o.x..o.o..x.o.",
         "hat": "x.xxx.xxx.xxx.xx", "open": "..............x."},
    ),
    "jazz": (
        {"kick": "o.......o.......", "ride": "x...x.o.x...x.o.",
         "hat": "....x.......x...", "snare": ".......o......o."},
        {"kick": "o.....o...o.....", "ride": "x...x.o.x...x.o.", "rim": "....x.......x..."},
    ),
    "ballad": (
        {"kick": "x.........x.....", "rim": "....x.......x...", "hat": "x...o...x...o..."},
        {"kick": "x.......x.x.....", "snare": "....x.......x...", "ride": "x...o...x...o..."},
    ),
    "latin": (
        {"kick": "x..x..x.x..x..x.", "rim": "x..x..x...x.x...", "hat": "x.o.x.o.x.o.x.o.", "perc": "o.xxo.x.o.xxo.x."},
        {"kick": "x...x...x...x...", "snare": "...x..x....x..x.", "perc": "x.o.xo.ox.o.xo.o"},
    ),
    "metal": (
        {"kick": "xxxxxxxxxxxxxxxx", "snare": "....x.......x...", "crash": "x...x...x...x..."},
        {"kick": "x.xxx.xxx.xxx.xx", "snare": "....x.......x...", "ride": "x...x...x...x..."},
    ),
    "reggae": (
        {"kick": "........x.......", "rim": "........x.......", "hat": "x.o.x.o.x.o.x.o."},
        {"kick": "x.......x.......", "snare": "........x.......", "hat": "..x...x...x...xo"},
    ),
    "disco": (
        {"kick": "x...x...x...x...", "snare": "....x.......x...",
         "open": "..x...x...x...x.", "hat": "xo.oxo.oxo.oxo.o"},
    ),
    "ambient": (
        {"kick": "x...............", "perc": "......o.....x...", "hat": "....o.......o..."},
        {"kick": "x.........x.....", "rim": "....x.....o....."},
    ),
    "halftime": (
        {"kick": "x.....x.........", "snare": "........x.......", "hat": "x.o.x.o.x.o.x.o."},
        {"kick": "x..x......x.....", "snare": "........x......o", "open": "x...x...x...x..."},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Stroke:
    """A drum hit: ``seconds`` from the beginning, which ``role`` of the kit, how hard (0 to 1)."""

    seconds: float
    role: str
    velocity: float


def drum_strokes(rng: Generator, plan: Plan) -> list[Stroke]:
    """Every stroke of the song, in order."""
    options = _PATTERNS[plan.genre]
    if rng.random() < 0.15:
        options = _PATTERNS[str(rng.choice(list(_PATTERNS)))]
    loose = float(rng.choice([0.0, 0.004, 0.009, 0.014]))
    drag = float(rng.normal(0, 0.006)) if loose else 0.0
    strokes: list[Stroke] = []
    for section in plan.playing("drums"):
        pattern = dict(options[int(rng.integers(len(options)))])
        pattern = _varied(rng, pattern, section)
        steps = _section_steps(rng, plan, section, pattern)
        for beat, role, velocity in steps:
            late = float(rng.normal(drag if role == "snare" else 0.0, loose)) if loose else 0.0
            strokes.append(Stroke(max(0.0, plan.time(beat) + late), role, velocity))
    return sorted(strokes, key=lambda stroke: stroke.seconds)


def _varied(rng: Generator, pattern: dict[str, str], section: Section) -> dict[str, str]:
    if section.energy < 0.45:
        for role in list(pattern):
            if rng.random() < 0.4:
                del pattern[role]
    if rng.random() < 0.2:
        pattern["perc"] = "".join(rng.choice(["x", "o", "."], size=16, p=[0.15, 0.15, 0.7]))
    if rng.random() < 0.15:
        pattern["hat"] = "oxooxoxoxooxoxox" if rng.random() < 0.5 else "x...x...x...x..."
    return pattern


def _section_steps(
    rng: Generator, plan: Plan, section: Section, pattern: dict[str, str]
) -> list[tuple[float, str, float]]:
    steps: list[tuple[float, str, float]] = []
    bar, bars = 0, max(1, round(section.beats / plan.meter))
    crash = rng.random() < 0.6 and section.energy > 0.5
    while section.start + bar * plan.meter < section.end - 1e-6:
        start = section.start + bar * plan.meter
        fill = bar == bars - 1 and rng.random() < 0.5
        for role, row in pattern.items():
            for step in range(plan.meter * 4):
                mark = row[step % 16]
                if rng.random() < 0.02:
                    mark = "o" if mark == "." else "."
                late_bar = fill and step >= plan.meter * 4 - 8 and role not in ("hat", "ride", "open")
                if mark == "." or late_bar:
                    continue
                velocity = float(rng.normal(0.88, 0.07) if mark == "x" else rng.normal(0.42, 0.08))
                steps.append((start + step / 4, role, velocity))
        if fill:
            steps += _fill(rng, start + plan.meter - 2.0)
        if bar == 0 and crash:
            steps.append((start, "crash", float(rng.uniform(0.7, 1.0))))
        bar += 1
    low, high = 0.12, 1.0
    return [
        (beat, role, min(high, max(low, velocity * (0.55 + 0.5 * section.energy))))
        for beat, role, velocity in steps
        if beat < section.end
    ]


def _fill(rng: Generator, start: float) -> list[tuple[float, str, float]]:
    """Two beats of snare and toms, downwards."""
    cells = [("snare", "tom1", "tom2", "tom3")[min(3, int(step / 8 * rng.uniform(2, 5)))] for step in range(8)]
    return [
        (start + step / 4, role, float(rng.uniform(0.6, 1.0))) for step, role in enumerate(cells) if rng.random() < 0.8
    ]
