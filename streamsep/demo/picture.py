"""Spectrograms of mixture and stems in one picture. Knows arrays and matplotlib; knows nothing of models.

Time and (logarithmic) frequency axes are shared and all panels have one scale in dB below the loudest spot of the
mixture, so that what is bright in one panel can be looked for in another.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamsep.config import STEMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Sound = NDArray[np.float32]

_WINDOW = 4_096
_COLUMNS = 720
_ROWS = 220
_LOW, _HIGH = 40.0, 16_000.0  # Hz
_RANGE_DB = 70.0
_TICKS = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_DIM = "#555555"


def headline(figure: Figure, title: str, size: float = 13) -> None:
    """Over all panels, whatever a song or a model is called: dollars are no formula, bytes need not be UTF-8."""
    shown = title.encode("utf-8", "replace").decode()
    figure.suptitle(shown, x=0.01, ha="left", fontsize=size, fontweight="bold", parse_math=False)


def log_spectrogram(sound: Sound, rate: int) -> NDArray[np.float32]:
    """Power of the channels' mean, [220 log-spaced frequencies from 40 Hz to 16 kHz, up to 720 columns].

    A row that is wider than a bin takes the strongest bin in it, a narrower one interpolates.
    """
    mono = np.pad(sound.mean(0), (_WINDOW // 2, _WINDOW))
    starts = np.unique(np.linspace(0, sound.shape[1], _COLUMNS, endpoint=False).astype(int))
    frames = np.lib.stride_tricks.sliding_window_view(mono, _WINDOW)[starts]
    window = np.hanning(_WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window)).astype(np.float32).T ** 2 / (window.sum() / 2) ** 2
    edges = np.geomspace(_LOW, _HIGH, _ROWS + 1) * _WINDOW / rate
    rows = np.empty((_ROWS, power.shape[1]), np.float32)
    for row, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        first, last = int(np.ceil(low)), int(np.ceil(high))
        if last > first:
            rows[row] = power[first:last].max(0)
        else:
            below = int(low)
            share = np.float32((low + high) / 2 - below)
            rows[row] = power[below] * (1 - share) + power[below + 1] * share
    return rows


def draw(
    path: Path,
    mixture: Sound,
    estimated: Mapping[str, Sound],
    true: Mapping[str, Sound],
    rate: int,
    title: str,
    captions: Mapping[str, str],
) -> None:
    """Write the picture to ``path`` as PNG: mixture on top, below it each stem, estimated above true.

    Sounds are [channels, samples]; ``captions`` say how good each estimated stem is.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Not pyplot: it would keep the figure alive and choose a window system.
    figure = Figure(figsize=(13.0, 8.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    headline(figure, title)
    grid = figure.add_gridspec(3, len(STEMS), height_ratios=(1.05, 1, 1))
    top = log_spectrogram(mixture, rate)
    peak = float(top.max()) or 1.0
    seconds = mixture.shape[1] / rate
    wide = figure.add_subplot(grid[0, :])
    image = _panel(wide, top, peak, seconds, "mixture")
    _label_frequency(wide)
    first: Axes | None = None
    for column, stem in enumerate(STEMS):
        for row, (kind, sounds) in enumerate((("estimated", estimated), ("true", true)), start=1):
            panel = figure.add_subplot(grid[row, column], sharex=first, sharey=first)
            first = first or panel
            caption = captions.get(stem, "") if kind == "estimated" else ""
            _panel(panel, log_spectrogram(sounds[stem], rate), peak, seconds, f"{stem}, {kind}", caption)
            if column == 0:
                _label_frequency(panel)
            else:
                panel.tick_params(labelleft=False)
            if row == 1:
                panel.tick_params(labelbottom=False)
            else:
                panel.set_xlabel("time / s")
    bar = figure.colorbar(image, ax=figure.axes, aspect=45, pad=0.01, fraction=0.02)
    bar.set_label("dB below the mixture's loudest spot")
    figure.savefig(path, format="png", pil_kwargs={"optimize": True})


def _panel(axes: Axes, power: NDArray[np.float32], peak: float, seconds: float, title: str, caption: str = "") -> Any:
    decibels = 10 * np.log10(np.maximum(power / peak, 10 ** (-_RANGE_DB / 10)))
    image = axes.imshow(
        decibels,
        origin="lower",
        aspect="auto",
        extent=(0.0, seconds, 0.0, float(_ROWS)),
        vmin=-_RANGE_DB,
        vmax=0.0,
        cmap="magma",
        interpolation="bilinear",
    )
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    if caption:
        box = {"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 2.5}
        place = axes.transAxes
        axes.text(0.985, 0.965, caption, transform=place, ha="right", va="top", fontsize=9, color="white", bbox=box)
    axes.set_yticks([_row_of(tick) for tick in _TICKS])
    axes.tick_params(labelsize=8, color=_DIM, length=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def _label_frequency(axes: Axes) -> None:
    axes.set_yticklabels([f"{tick // 1_000}k" if tick >= 1_000 else str(tick) for tick in _TICKS])
    axes.set_ylabel("frequency / Hz")


def _row_of(frequency: float) -> float:
    return _ROWS * float(np.log(frequency / _LOW) / np.log(_HIGH / _LOW))
