"""Loading and whole songs: the API as the README has it, and one clear sentence for what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import streamsep
from streamsep.choices import DECODES
from streamsep.config import STEMS
from streamsep.engine.separator import Separator, find_model, load
from streamsep.errors import AudioError, OptionError, StreamsepError
from tests.engine.helpers import stack
from tests.sounds import tune


def test_the_readme(model: Path) -> None:
    sep = streamsep.load(str(model))
    audio, rate = tune(0.3, 44_100), 44_100
    stems = sep.separate(audio, rate)
    assert tuple(sep.stems) == tuple(stems) == STEMS
    assert stems["vocals"].shape == audio.shape and stems["vocals"].dtype == np.float32
    stream = sep.stream(rate=44_100, channels=2, lookahead=0)
    out = [stream.push(block) for block in np.split(audio, 10, axis=1)]
    out.append(stream.flush())
    assert sum(part["bass"].shape[1] for part in out) == audio.shape[1]
    assert isinstance(stream.latency, int)
    stream.reset()


@pytest.mark.parametrize("lookahead", [-1, 0, 2])
def test_every_way_of_decoding_in_one_pass(model: Path, separator: Separator, lookahead: int) -> None:
    audio = tune(0.3, 48_000)
    every = separator.separate_all(audio, 48_000, lookahead=lookahead)
    assert tuple(every) == DECODES
    for decode, stems in every.items():
        alone = Separator(separator.net, decode=decode).separate(audio, 48_000, lookahead)
        np.testing.assert_allclose(stack(stems), stack(alone), atol=1e-6)
        np.testing.assert_allclose(stack(stems).sum(0), audio, atol=1e-4)
    assert not np.allclose(stack(every["hard"]), stack(every["soft"]), atol=1e-4)
    assert not np.allclose(stack(every["guide"]), stack(every["fused"]), atol=1e-4)


def test_mono_is_stereo_with_equal_sides(separator: Separator) -> None:
    mono = tune(0.2, 48_000, 1)
    stems = stack(separator.separate(mono, 48_000))
    both = stack(separator.separate(np.repeat(mono, 2, axis=0), 48_000))
    np.testing.assert_allclose(stems[:, 0], both[:, 0], atol=1e-6)


def test_long_songs_go_through_in_pieces(separator: Separator) -> None:
    sound = tune(10.5, 8_000, 1)
    stems = stack(separator.separate(sound, 8_000))
    np.testing.assert_allclose(stems.sum(0), sound, atol=1e-4)


def sentence(error: pytest.ExceptionInfo[StreamsepError]) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text
    return text


def test_what_is_unknown_is_said(model: Path, tmp_path: Path) -> None:
    for options, said in (
        ({"render": "magic"}, "unknown render 'magic'"),
        ({"decode": "guess"}, "unknown decode 'guess'; choose one of hard, soft, guide, fused"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
    ):
        with pytest.raises(OptionError) as error:
            load(model, **options)
        assert said in sentence(error)
    with pytest.raises(StreamsepError) as error:
        load("huge")
    assert "unknown model 'huge'" in sentence(error)
    with pytest.raises(StreamsepError) as error:
        load(tmp_path)
    assert "has no model.safetensors" in sentence(error)


def test_shipped_models_are_found_by_name(model: Path, tmp_path: Path) -> None:
    assert find_model("small", model.parent) == model
    assert find_model(model) == model
    (tmp_path / "bare").mkdir()
    with pytest.raises(StreamsepError, match="the weights of 'bare' are missing"):
        find_model("bare", tmp_path)
    with pytest.raises(StreamsepError, match="choose small or give the path"):
        find_model("huge", model.parent)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_asked_for_and_absent(model: Path) -> None:
    with pytest.raises(StreamsepError) as error:
        load(model, device="cuda")
    assert "CUDA" in sentence(error)


def test_one_thread_unless_more_are_asked_for(model: Path) -> None:
    before = torch.get_num_threads()
    try:
        load(model, threads=2)
        assert torch.get_num_threads() == 2
        load(model)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_streams_and_songs_that_make_no_sense(separator: Separator) -> None:
    for arguments, said in (
        ((4_000, 2), "4000 Hz"),
        ((384_000, 2), "384000 Hz"),
        ((44_100.5, 2), "44100.5 Hz"),
        ((48_000, 3), "not 3"),
        ((48_000, 0), "not 0"),
        ((48_000, 2, 5), "unknown lookahead 5"),
        ((48_000, 2, 0, 2**63), "no 64-bit number"),
    ):
        with pytest.raises(OptionError) as error:
            separator.stream(*arguments)
        assert said in sentence(error)
    for shape in ((10_000,), (10_000, 2), (5, 100)):
        with pytest.raises(AudioError) as error:
            separator.separate(np.zeros(shape, np.float32), 48_000)
        assert "[channels, samples]" in sentence(error)
