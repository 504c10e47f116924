"""``streamsep models import``: what fits becomes a folder, what does not gets one sentence and leaves nothing."""

from __future__ import annotations

import json
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from streamsep.codec.hcodec2.checkpoint import load_hcodec2
from tests.cli.conftest import Run
from tests.codec.hcodec2.small import small_codec, small_config, small_features, small_wave

State = dict[str, Tensor]


@pytest.fixture
def state() -> State:
    return OrderedDict(small_codec().state_dict())


@pytest.fixture
def imports(run: Run, tmp_path: Path) -> Callable[..., Any]:
    """``imports(checkpoint, …)`` runs the import with small sizes; the folder is ``tmp_path / "models" / "small"``."""
    (tmp_path / "sizes.json").write_text(json.dumps(small_config().to_dict()))

    def call(checkpoint: Path, *more: object) -> Any:
        out = tmp_path / "models" / "small"
        return run("models", "import", "hcodec-2.0", checkpoint, "--config", tmp_path / "sizes.json", "-o", out, *more)

    return call


@pytest.fixture
def refused(imports: Callable[..., Any], tmp_path: Path) -> Callable[[Path], str]:
    """The one line an import ends with, after checking that it left nothing."""

    def call(checkpoint: Path) -> str:
        result = imports(checkpoint)
        assert (result.code, result.out) == (2, ""), result
        assert result.err.startswith(f"streamsep: '{checkpoint}'") and result.err.count("\n") == 1
        assert not (tmp_path / "models").exists()
        return result.err

    return call


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_checkpoint_of_the_published_layout_converts_and_runs(
    imports: Callable[..., Any], state: State, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pt")
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    result = imports(path, "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert (report["tensors"], report["missing"], report["extra"]) == (len(state), [], [])
    folder = Path(report["folder"])
    assert sorted(each.name for each in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert json.loads((folder / "config.json").read_text())["source"]["file"] == path.name
    loaded, original = load_hcodec2(folder), small_codec()
    wave, features = small_wave(3_200), small_features(40)
    codes = loaded.encode(wave, features)
    assert all(torch.equal(a, b) for a, b in zip(codes, original.encode(wave, features), strict=True))
    assert torch.equal(loaded.decode(*codes), original.decode(*codes))


def test_imported_models_are_listed(run: Run, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMSEP_MODELS", str(tmp_path / "home"))
    torch.save(state, tmp_path / "weights.pt")
    (tmp_path / "sizes.json").write_text(json.dumps(small_config().to_dict()))
    arguments = ("models", "import", "hcodec-2.0", tmp_path / "weights.pt", "--config", tmp_path / "sizes.json")
    done = run(*arguments)
    assert done.code == 0 and "none missing, none extra" in done.out
    listed = json.loads(run("models", "--json").out)["models"]
    assert [(model["name"], model["path"]) for model in listed][-1] == (
        "hcodec-2.0",
        str(tmp_path / "home" / "hcodec-2.0"),
    )
    assert "hcodec-2.0" in run("models").out
    again = run(*arguments)
    assert again.code == 2 and "exists already" in again.err
    assert run(*arguments, "--overwrite").code == 0
    assert os.listdir(tmp_path / "home") == ["hcodec-2.0"]


def test_what_else_lies_there_is_not_replaced(imports: Callable[..., Any], state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "weights.pt")
    (tmp_path / "models" / "small").mkdir(parents=True)
    (tmp_path / "models" / "small" / "thesis.txt").write_text("mine")
    result = imports(tmp_path / "weights.pt", "--overwrite")
    assert result.code == 2 and "something else" in result.err
    assert (tmp_path / "models" / "small" / "thesis.txt").read_text() == "mine"


def test_tensors_that_share_their_memory(imports: Callable[..., Any], state: State, tmp_path: Path) -> None:
    both = torch.stack([state["encoder.norm.weight"], state["decoder.norm.weight"]])
    state["encoder.norm.weight"], state["decoder.norm.weight"] = both
    state["quantizer.layers.0._codebook.embed_avg"] = state["quantizer.layers.0._codebook.embed"]
    torch.save(state, tmp_path / "weights.pt")
    assert imports(tmp_path / "weights.pt").code == 0
    loaded = load_hcodec2(tmp_path / "models" / "small").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


class Bomb:
    """What unpickling it would do: write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("kind", ["zip", "legacy", 2, 4])
def test_code_in_a_pickle_is_refused_and_not_run(
    refused: Callable[[Path], str], state: State, tmp_path: Path, kind: str | int
) -> None:
    path, target = tmp_path / "weights.pt", tmp_path / "bomb"
    content = {**state, "encoder.extra": Bomb(target)}
    if isinstance(kind, int):
        path.write_bytes(pickle.dumps({"encoder.extra": Bomb(target)}, protocol=kind))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    said = refused(path)
    assert "and was not loaded" in said
    assert f"code besides tensors ('{os.name}.mkdir')" in said or kind == 4  # which torch does not read that far
    assert not target.exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("suffix", ["pt", "legacy.pt", "safetensors"])
def test_cut_off_files(refused: Callable[[Path], str], state: State, tmp_path: Path, share: float, suffix: str) -> None:
    path = tmp_path / f"weights.{suffix}"
    if suffix == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=suffix == "pt")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    said = refused(path)
    assert any(word in said for word in ("cut off", "damaged", "is no PyTorch checkpoint"))


def test_names_that_are_missing_and_extra_are_said(
    refused: Callable[[Path], str], state: State, tmp_path: Path
) -> None:
    state["encoder.embedding.conv.weight"] = state.pop("encoder.embed.conv.weight")
    state["encoder.embed.conv.bias"] = torch.zeros(3)
    torch.save(state, tmp_path / "weights.pt")
    said = refused(tmp_path / "weights.pt")
    assert f"1 of {len(state)} tensors are missing (encoder.embed.conv.weight)" in said
    assert "1 are extra (encoder.embedding.conv.weight)" in said
    assert "1 have another shape (encoder.embed.conv.bias is [3], not [32])" in said


def test_another_version_is_recognized(refused: Callable[[Path], str], state: State, tmp_path: Path) -> None:
    old = {f"{name}_g" if name.endswith("conv.weight") else name: value for name, value in state.items()}
    torch.save(old, tmp_path / "weights.pt")
    assert "H-Codec-1" in refused(tmp_path / "weights.pt")


def test_sizes_other_than_the_published_ones(run: Run, state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "weights.pt")
    result = run("models", "import", "hcodec-2.0", tmp_path / "weights.pt", "-o", tmp_path / "out")
    assert result.code == 2 and not (tmp_path / "out").exists()
    assert "of 788 tensors are missing" in result.err and "another shape" in result.err
    assert len(result.err) < 1_500 and result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda state: {"state_dict": state, "epoch": 3}, "checkpoint of training"),
        (lambda state: list(state.values()), "no state dict"),
        (lambda state: {**state, "epoch": 3}, "no state dict"),
        (lambda state: {**state, "decoder.norm.weight": torch.full((32,), torch.nan)}, "'decoder.norm.weight' holds"),
        (lambda state: {**state, "quantizer.layers.1._codebook.initted": torch.zeros(1)}, "was never trained"),
    ],
)
def test_content_that_is_no_trained_codec(
    refused: Callable[[Path], str], state: State, tmp_path: Path, spoil: Callable[[State], Any], said: str
) -> None:
    torch.save(spoil(dict(state)), tmp_path / "weights.pt")
    assert said in refused(tmp_path / "weights.pt")


def test_files_that_are_no_checkpoints(refused: Callable[[Path], str], tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "no.pt")
    (tmp_path / "folder").mkdir()
    assert "is a folder" in refused(tmp_path / "folder")
    (tmp_path / "page.pt").write_text("<html>Access denied</html>")
    assert "is no PyTorch checkpoint" in refused(tmp_path / "page.pt")


def test_unknown_models_and_sizes(run: Run, state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "weights.pt")
    assert "unknown model 'encodec'" in run("models", "import", "encodec", tmp_path / "weights.pt").err
    (tmp_path / "sizes.json").write_text('{"encoder_config": {"depth": 3}}')
    result = run("models", "import", "hcodec-2.0", tmp_path / "weights.pt", "--config", tmp_path / "sizes.json")
    assert result.code == 2 and "is no configuration" in result.err


def test_a_folder_that_cannot_be_written(run: Run, state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "weights.pt")
    (tmp_path / "sizes.json").write_text(json.dumps(small_config().to_dict()))
    (tmp_path / "file").write_text("in the way")
    arguments = ("--config", tmp_path / "sizes.json", "-o", tmp_path / "file" / "out")
    result = run("models", "import", "hcodec-2.0", tmp_path / "weights.pt", *arguments)
    assert result.code == 2 and "cannot be written" in result.err
