"""Models in the box: each loads by name, separates into stems that sum to the mixture, and says what it is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from streamsep.config import SHIPPED_MODELS, STEMS
from streamsep.doctor.models import headline, shipped_models
from streamsep.engine.separator import load
from tests.sounds import tune

MOST = {"tiny": 16e6, "base": 30e6}  # bytes on disk


@pytest.mark.parametrize("name", sorted(MOST))
def test_a_shipped_model_separates(name: str) -> None:
    mixture = tune(1.0, 48_000, seed=4)
    separator = load(name)
    assert separator.net.config.name == name
    stems = separator.separate(mixture, 48_000)
    assert set(stems) == set(STEMS) and all(np.isfinite(stem).all() for stem in stems.values())
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-4)


@pytest.mark.parametrize("name", sorted(MOST))
def test_a_shipped_model_says_what_it_is(name: str) -> None:
    folder = SHIPPED_MODELS / name
    (model,) = (each for each in shipped_models(SHIPPED_MODELS) if each.name == name)
    assert model.bytes <= MOST[name]
    assert model.licence == "apache-2.0" and f"\n# {name}\n" in (folder / "README.md").read_text("utf-8")
    scores = json.loads((folder / "scores.json").read_text("utf-8"))
    assert scores["model"] == name and scores["songs_measured"] >= 100
    gains = headline(model)
    assert gains is not None and gains["mean"] is not None and gains["mean"] > 0


def test_no_model_is_in_the_box_unnoticed() -> None:
    assert {folder.name for folder in SHIPPED_MODELS.iterdir() if folder.is_dir()} == set(MOST)
