"""Box plots and the page's edges."""

from __future__ import annotations

import re

import numpy as np

from streamsep.evaluate.boxplot import Box, box_plot
from streamsep.evaluate.exhibit import strip_png


def test_a_box_plot_has_median_and_outlier_where_they_belong() -> None:
    plot = box_plot([Box("a <b>", [0.0, 1.0, 2.0, 3.0, 4.0, 40.0]), Box("none", [])], "dB")
    assert plot.count("<g>") == 1 and "a &lt;b&gt;" in plot and "median 2.5" in plot
    zero, last = (
        float(x)
        for x in re.findall(r'<text class="dim" x="([\d.]+)"', plot)[:: len(re.findall('class="dim"', plot)) - 1]
    )
    (dot,) = (float(x) for x in re.findall(r'class="dot" cx="([\d.]+)"', plot))
    assert dot == last and zero < dot  # ticks from 0 to 40
    (median,) = (float(x) for x in re.findall(r'class="median" x1="([\d.]+)"', plot))
    assert abs((median - zero) / (last - zero) - 2.5 / 40) < 0.002
    assert box_plot([Box("none", [])], "dB") == ""


def test_one_value_alone_has_a_plot() -> None:
    assert "median 3.0" in box_plot([Box("a", [3.0])], "dB")


def test_a_strip_is_a_png() -> None:
    import base64

    assert base64.b64decode(strip_png(np.ones((8, 8)), 1.0)).startswith(b"\x89PNG")
