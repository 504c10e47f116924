"""Semantic features: a small HuBERT from a folder, another teacher, and what is said when there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from transformers import HubertConfig, HubertModel

from streamsep.codec.hcodec2.teacher import HubertTeacher, check_features, open_teacher, resample
from streamsep.errors import OptionError, StreamsepError
from tests.codec.hcodec2.small import small_config, small_wave

RATE = 48_000
TOKEN = 3_840
CONFIG = small_config(rate=RATE)


@pytest.fixture(scope="session")
def hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random HuBERT of 6 channels: all strides of the real one."""
    torch.manual_seed(0)
    shape = {"hidden_size": 6, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
    config = HubertConfig(**shape, conv_dim=[8] * 7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2)
    folder = tmp_path_factory.mktemp("hubert")
    HubertModel(config).save_pretrained(folder)
    return folder


def test_hubert_features_are_the_mean_of_all_hidden_states(hubert: Path) -> None:
    teacher = open_teacher(str(hubert), CONFIG)
    wave = small_wave(5 * TOKEN, RATE)
    features = teacher(wave)
    assert features.shape == (1, 6, 20)
    check_features(features, CONFIG, 20)
    model = HubertModel.from_pretrained(hubert).eval()
    sound = torch.nn.functional.pad(resample(wave, RATE, 16_000), (160, 160))
    states = model(sound, output_hidden_states=True).hidden_states
    assert len(states) == 3
    torch.testing.assert_close(features, (sum(states) / 3).transpose(1, 2))


@pytest.mark.parametrize("tokens", [1, 2, 7])
def test_four_frames_a_token(hubert: Path, tokens: int) -> None:
    assert HubertTeacher.load(hubert, RATE)(small_wave(tokens * TOKEN, RATE)).shape[-1] == 4 * tokens


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(StreamsepError, match=r"\[6, 19\], the codec needs \[6, 20\]"):
        check_features(torch.zeros(1, 6, 19), CONFIG, 20)


def test_resampled_tones_stay_and_aliases_go() -> None:
    time = torch.arange(RATE) / RATE
    low, high = (torch.sin(2 * torch.pi * f * time)[None] for f in (1_000, 11_000))
    wanted = torch.sin(2 * torch.pi * 1_000 * torch.arange(16_000) / 16_000)[None]
    inner = slice(200, -200)
    torch.testing.assert_close(resample(low, RATE, 16_000)[:, inner], wanted[:, inner], atol=2e-3, rtol=0)
    assert resample(high, RATE, 16_000)[:, inner].abs().max() < 0.02
    assert resample(low[:, :1001], RATE, 16_000).shape[-1] == 334
    assert resample(low, RATE, RATE) is low


def test_another_teacher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def teach(config):\n    return lambda wave: (config.token_hop, wave)\n")
    monkeypatch.syspath_prepend(tmp_path)
    wave = small_wave(TOKEN)
    hop, heard = open_teacher("mine:teach", CONFIG)(wave)
    assert hop == TOKEN and heard is wave


@pytest.mark.parametrize("name", ["nowhere:teach", "json:teach"])
def test_a_teacher_that_is_not_there(name: str) -> None:
    with pytest.raises(OptionError, match="neither a folder nor a teacher"):
        open_teacher(name, CONFIG)


def test_folders_without_a_hubert(tmp_path: Path) -> None:
    with pytest.raises(StreamsepError, match="holds no HuBERT"):
        open_teacher(str(tmp_path), CONFIG)
    (tmp_path / "config.json").write_text('{"model_type": "hubert"}')
    with pytest.raises(StreamsepError, match="cannot be loaded as a HuBERT"):
        open_teacher(str(tmp_path), CONFIG)


def test_without_transformers(hubert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(StreamsepError, match=r"pip install 'streamsep\[semantic\]'"):
        open_teacher(str(hubert), CONFIG)
