"""The picture: frequencies in the right row, one scale, and a file that can be opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamsep.config import STEMS
from streamsep.demo.picture import draw, log_spectrogram
from tests.sounds import tune


@pytest.mark.parametrize("frequency", [55.0, 440.0, 3_000.0, 12_000.0])
def test_a_sine_is_brightest_in_its_row(frequency: float) -> None:
    time = np.arange(48_000) / 48_000
    sound = np.repeat(np.sin(2 * np.pi * frequency * time)[None].astype(np.float32), 2, 0)
    power = log_spectrogram(sound, 48_000)[:, 100:600].mean(1)
    row = np.log(frequency / 40) / np.log(16_000 / 40) * len(power)
    assert abs(int(power.argmax()) - row) < 0.03 * len(power)
    assert 10 * np.log10(power.max()) == pytest.approx(0, abs=1.5), "a full-scale sine is 0 dB"


def test_short_sounds_have_fewer_columns() -> None:
    assert log_spectrogram(tune(0.001, 48_000), 48_000).shape == (220, 48)


@pytest.mark.parametrize("title", ["a title", "Ke$ha #1 Ca$h", "caf\udce9"])
def test_the_picture_is_a_png_with_all_panels(tmp_path: Path, title: str) -> None:
    stems = {stem: tune(1.0, 48_000, seed=index) / 4 for index, stem in enumerate(STEMS)}
    stems["bass"] *= 0  # silence must be drawable
    path = tmp_path / "picture.png"
    mixture = np.sum(list(stems.values()), axis=0)
    draw(path, mixture, stems, stems, 48_000, title, {"vocals": "7.0 dB"})
    with Image.open(path) as picture:
        assert picture.format == "PNG" and picture.size == (1_300, 820)
        assert np.asarray(picture.convert("L")).std() > 30
