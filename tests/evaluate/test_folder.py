"""What the numbers of a report hang on: whatever of it changes is measured anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from streamsep.config import SHIPPED_MODELS
from streamsep.evaluate.entries import Plan
from streamsep.evaluate.folder import ReportFolder, fingerprint
from streamsep.evaluate.run import EvaluateOptions, SongRecord
from streamsep.evaluate.scores import SongScores
from streamsep.evaluate.songs import SongFolder


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


def test_a_name_that_is_not_utf_8_is_kept_like_others(tmp_path: Path) -> None:
    song = tmp_path / os.fsdecode(b"caf\xe9")
    song.mkdir()
    (song / "vocals.wav").write_bytes(b"")
    found = SongFolder(song.name, song, {"vocals": song / "vocals.wav"})
    folder = ReportFolder(tmp_path / "report", {})
    record = SongRecord(SongScores(song.name, 1.0))
    folder.keep(found, record)
    assert folder.finished(found) == record
    folder.write({}, song.name)
    assert (tmp_path / "report" / "index.html").read_text("utf-8") == "caf?"
