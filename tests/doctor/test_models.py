"""Shipped models described from their files alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import save_file

from streamsep.doctor.models import count_parameters, headline, shipped_models
from streamsep.doctor.tables import print_models
from streamsep.errors import StreamsepError

GAINS = {"vocals": 7.0, "drums": 8.0, "bass": 9.0, "other": None, "mean": 8.0}


def make(root: Path, name: str, card: str = "---\nlicense: Apache-2.0\n---\n# A model\n") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    save_file({"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.int8)}, folder / "model.safetensors")
    (folder / "README.md").write_text(card)
    return folder


def test_a_model_is_described_without_loading_it(tmp_path: Path) -> None:
    folder = make(tmp_path, "tiny")
    total = [
        {"estimate": "mixture", "lookahead": None, "improvement": {}},
        {"estimate": "fused", "lookahead": 0, "improvement": GAINS},
    ]
    (folder / "scores.json").write_text(json.dumps({"total": total}))
    make(tmp_path, "base", card="no front matter")
    (tmp_path / "empty").mkdir()
    base, tiny = shipped_models(tmp_path)
    assert (tiny.name, tiny.parameters, tiny.licence) == ("tiny", 17, "Apache-2.0")
    assert tiny.bytes == (folder / "model.safetensors").stat().st_size
    assert headline(tiny) == GAINS
    assert base.licence == "not stated" and headline(base) is None
    json.dumps([tiny.to_dict(), base.to_dict()])
    console = Console(record=True, width=120, quiet=False, file=(tmp_path / "out").open("w"))
    print_models(console, [base, tiny])
    text = console.export_text()
    assert "+9.0" in text and "Apache-2.0" in text and "base" in text


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path, "tiny")
    (folder / "scores.json").write_text("{")
    with pytest.raises(StreamsepError, match="scores.json"):
        shipped_models(tmp_path)
    weights = folder / "model.safetensors"
    for content in (b"", b"short", weights.read_bytes()[:20], (5).to_bytes(8, "little") + b"[1,2]"):
        weights.write_bytes(content)
        with pytest.raises(StreamsepError, match=r"model\.safetensors"):
            count_parameters(weights)


def test_no_folder_no_models(tmp_path: Path) -> None:
    assert shipped_models(tmp_path / "nowhere") == []
