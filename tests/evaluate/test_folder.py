"""What the numbers of a report hang on: whatever of it changes is measured anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streamsep.config import SHIPPED_MODELS
from streamsep.evaluate.entries import Plan
from streamsep.evaluate.folder import fingerprint
from streamsep.evaluate.run import EvaluateOptions


def test_a_module_that_was_edited_is_another_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_separator.py").write_text("f = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    plan, options = Plan(systems=("mine=python:my_separator:f",)), EvaluateOptions()
    before = fingerprint(plan, options, [])
    assert fingerprint(plan, options, []) == before
    (tmp_path / "my_separator.py").write_text("f = max\n")
    assert fingerprint(plan, options, []) != before


def test_a_model_is_its_weights_and_its_shape(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(SHIPPED_MODELS / "tiny", model)
    plan, options = Plan(model=str(model)), EvaluateOptions()
    before = fingerprint(plan, options, [])
    config = (model / "config.json").read_text()
    (model / "config.json").write_text(config + "\n")
    assert fingerprint(plan, options, []) != before
    (model / "config.json").write_text(config)
    assert fingerprint(plan, options, []) == before
    with (model / "model.safetensors").open("ab") as file:
        file.write(b"0")
    assert fingerprint(plan, options, []) != before
