"""A model's folder: what is saved is what is loaded, and what is wrong with it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from streamsep.choices import DECODES
from streamsep.errors import OutputError, StreamsepError
from streamsep.model.checkpoint import CONFIG, WEIGHTS, load_model, save_model
from tests.model.small import SMALL, small_net
from tests.model.test_net import run, spectra


def test_a_net_comes_back_as_it_was(tmp_path: Path) -> None:
    net = small_net()
    save_model(tmp_path / "new" / "net", net, torch.float32)
    again = load_model(tmp_path / "new" / "net")
    assert again.config == SMALL and not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())
    x, lookahead = spectra(1, 4), torch.tensor([2])
    for a, b in zip(run(net, x, lookahead), run(again, x, lookahead), strict=True):
        assert all(torch.equal(a.masks[name], b.masks[name]) for name in DECODES)


def test_half_precision_is_half_as_large_and_loads_as_float32(tmp_path: Path) -> None:
    net = small_net()
    net.codec.semantic.quantizer.counts += 1e5  # more than float16 can hold
    save_model(tmp_path, net)
    stored = load_file(tmp_path / WEIGHTS)
    assert stored["fuse.trust"].dtype == torch.float16
    assert not any(name.startswith("lm.tables") for name in stored)
    again = load_model(tmp_path)
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)


def test_bytes_for_the_parts_that_bear_it(tmp_path: Path) -> None:
    net = small_net()
    save_model(tmp_path, net, int8=("lm.temporal", "codec.acoustic"))
    stored = load_file(tmp_path / WEIGHTS)
    assert stored["lm.temporal.layers.0.mlp.down.weight"].dtype == torch.int8
    assert stored["lm.temporal.norm.weight"].dtype == torch.float16
    again = load_model(tmp_path).state_dict()
    for name, tensor in net.state_dict().items():
        peak = float(tensor.abs().max()) if tensor.is_floating_point() else 0.0
        torch.testing.assert_close(again[name], tensor, atol=max(1e-3, peak / 250), rtol=1e-3)
    del stored["lm.temporal.layers.0.mlp.down.weight"]
    save_file(stored, tmp_path / WEIGHTS)
    with pytest.raises(StreamsepError, match="it lacks 'lm.temporal.layers.0.mlp.down.weight'"):
        load_model(tmp_path)


def test_loading_leaves_the_random_numbers_alone(tmp_path: Path) -> None:
    save_model(tmp_path, small_net())
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    load_model(tmp_path)
    assert torch.equal(torch.rand(1), expected)


def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path) -> None:
    save_model(tmp_path, small_net())
    config, weights = tmp_path / CONFIG, tmp_path / WEIGHTS
    good_config, good_weights = config.read_text(), weights.read_bytes()

    def refused() -> str:
        with pytest.raises(StreamsepError) as error:
            load_model(tmp_path)
        config.write_text(good_config)
        weights.write_bytes(good_weights)
        text = str(error.value)
        assert text.endswith(".") and "\n" not in text
        return text

    for broken in ("", "{", "[]", '{"name": "x"}', good_config.replace('"dim"', '"width"', 1)):
        config.write_text(broken)
        assert "config.json' is damaged" in refused()
    config.unlink()
    assert "has no config.json" in refused()
    weights.unlink()
    assert "has no model.safetensors" in refused()
    for cut in (0, 7, 100, len(good_weights) // 2):
        weights.write_bytes(good_weights[:cut])
        assert "model.safetensors' is damaged" in refused()
    raw = json.loads(good_config)
    raw["lm"]["dim"] = 64
    config.write_text(json.dumps(raw))
    assert "does not fit its config.json" in refused()
    raw["lm"]["dim"] = 30
    config.write_text(json.dumps(raw))
    assert "does not fit its config.json" in refused()
    tensors = load_file(weights)
    save_file({name: tensor for name, tensor in tensors.items() if name != "fuse.trust"}, weights)
    assert "it lacks 'fuse.trust'" in refused()
    save_file({**tensors, "more": torch.zeros(1)}, weights)
    assert "unknown 'more'" in refused()
    save_file({**tensors, "fuse.trust": torch.full((4, 2, 120), torch.nan)}, weights)
    assert "not finite" in refused()
    with pytest.raises(StreamsepError):
        load_model(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        save_model(tmp_path / "file", small_net())
