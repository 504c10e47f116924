"""Spectrograms before, after, and their difference, in one picture. Knows arrays and matplotlib."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.demo.picture import headline, log_spectrogram
from streamsep.errors import OutputError

Sound = NDArray[np.float32]

_RANGE_DB, _GAP_DB = 70.0, 30.0
_TICKS = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_LOW, _HIGH = 40.0, 16_000.0  # Hz, of log_spectrogram's rows


def draw(path: Path, before: Sound, after: Sound, rate: int, title: str) -> None:
    """Write the picture to ``path`` as PNG. Sounds are [channels, samples]. Raises OutputError.

    The difference is after minus before in dB: red is more than there was, blue less; what is 70 dB below the loudest
    spot counts as silence in both.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 8.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    headline(figure, title)
    first, second = log_spectrogram(before, rate), log_spectrogram(after, rate)
    peak = float(first.max()) or 1.0
    panels = [_decibels(first, peak), _decibels(second, peak)]
    panels.append(panels[1] - panels[0])
    axes = figure.subplots(3, 1, sharex=True, sharey=True)
    for row, (name, values) in enumerate(zip(("before", "after", "difference"), panels, strict=True)):
        gap = name == "difference"
        image = axes[row].imshow(
            values,
            origin="lower",
            aspect="auto",
            extent=(0.0, before.shape[1] / rate, 0.0, float(len(values))),
            vmin=-_GAP_DB if gap else -_RANGE_DB,
            vmax=_GAP_DB if gap else 0.0,
            cmap="RdBu_r" if gap else "magma",
        )
        axes[row].set_title(name, loc="left", fontsize=10, fontweight="bold")
        axes[row].set_yticks([len(values) * np.log(tick / _LOW) / np.log(_HIGH / _LOW) for tick in _TICKS])
        axes[row].set_yticklabels([f"{tick // 1_000}k" if tick >= 1_000 else str(tick) for tick in _TICKS])
        axes[row].set_ylabel("frequency / Hz")
        axes[row].tick_params(labelsize=8, length=2)
        figure.colorbar(image, ax=axes[row], pad=0.01).set_label("dB, after minus before" if gap else "dB")
    axes[-1].set_xlabel("time / s")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", pil_kwargs={"optimize": True})
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}.") from error


def _decibels(power: NDArray[np.float32], peak: float) -> NDArray[np.float32]:
    return 10 * np.log10(np.maximum(power / peak, 10 ** (-_RANGE_DB / 10)))
