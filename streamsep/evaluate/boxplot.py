"""Box plots as SVG text. Knows numbers and shapes; knows nothing of what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_LEFT, _RIGHT, _ROW, _TOP = 176, 26, 24, 8
_WIDTH = 520


@dataclass(frozen=True)
class Box:
    """A labelled set of values; ``main`` is drawn to be seen first."""

    label: str
    values: Sequence[float]
    main: bool = False


def box_plot(boxes: Sequence[Box], unit: str) -> str:
    """Horizontal boxes on one scale: quartiles, median, whiskers to the last value within 1.5 box widths, outliers.

    "" when there is no value at all.
    """
    boxes = [box for box in boxes if len(box.values)]
    if not boxes:
        return ""
    every = np.concatenate([np.asarray(box.values, np.float64) for box in boxes])
    ticks = _ticks(float(every.min()), float(every.max()))
    low, high = ticks[0], ticks[-1]

    def x(value: float) -> float:
        return round(_LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT), 1)

    bottom = _TOP + _ROW * len(boxes)
    parts = [f'<svg viewBox="0 0 {_WIDTH} {bottom + 22}" role="img">']
    for tick in ticks:
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{x(tick)}" x2="{x(tick)}" y1="{_TOP}" y2="{bottom}"/>')
        text = f"{tick:g} {unit}" if tick == ticks[-1] else f"{tick:g}"
        parts.append(f'<text class="dim" x="{x(tick)}" y="{bottom + 16}" text-anchor="middle">{text}</text>')
    for index, box in enumerate(boxes):
        parts.append(_box(box, _TOP + _ROW * (index + 0.5), x))
    return "".join((*parts, "</svg>"))


def _box(box: Box, y: float, x: Callable[[float], float]) -> str:
    values = np.sort(np.asarray(box.values, np.float64))
    first, middle, third = np.percentile(values, [25, 50, 75])
    reach = 1.5 * (third - first)
    inside = values[(values >= first - reach) & (values <= third + reach)]
    outside = values[(values < first - reach) | (values > third + reach)]
    height = _ROW * 0.29
    title = f"{box.label}: median {middle:.1f}, quartiles {first:.1f} and {third:.1f}, {len(values)} songs"
    kind = "box main" if box.main else "box"
    weight = ' font-weight="600"' if box.main else ""
    dots = "".join(f'<circle class="dot" cx="{x(value)}" cy="{y}" r="2"/>' for value in outside)
    return (
        f"<g><title>{escape(title)}</title>"
        f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end"{weight}>{escape(box.label)}</text>'
        f'<line class="whisker" x1="{x(inside[0])}" x2="{x(inside[-1])}" y1="{y}" y2="{y}"/>'
        f'<rect class="{kind}" x="{x(first)}" y="{y - height}" rx="2" '
        f'width="{max(1.0, round(x(third) - x(first), 1))}" height="{2 * height}"/>'
        f'<line class="median" x1="{x(middle)}" x2="{x(middle)}" y1="{y - height}" y2="{y + height}"/>{dots}</g>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers around the range, four to nine of them."""
    span = max(high - low, 1e-3)
    power = 10.0 ** np.floor(np.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 7)
    first, last = int(np.floor(low / step)), int(np.ceil(high / step))
    return [round(number * step, 6) for number in range(first, max(last, first + 1) + 1)]
