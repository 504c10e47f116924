"""Songs through a paper model: lengths, sums, overlaps, files on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from streamsep.config import FRAME, STEMS
from streamsep.errors import OptionError, StreamsepError
from streamsep.paper.checkpoint import load_paper, save_paper
from streamsep.paper.config import PaperConfig
from streamsep.paper.segments import SegmentSeparator, SegmentStream
from streamsep.paper.separator import PaperSeparator
from tests.paper.conftest import MakeNet
from tests.sounds import tune


@pytest.mark.parametrize("rate", [48_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_sum_to_the_song_whatever_the_blocks(make_net: MakeNet, rate: int, channels: int) -> None:
    separator = PaperSeparator(make_net())
    song = tune(1.7, rate, channels)
    whole = separator.separate(song, rate)
    np.testing.assert_allclose(np.sum(list(whole.values()), axis=0), song, atol=1e-4)
    stream = separator.stream(rate, channels)
    parts = [stream.push(song[:, start : start + 7_001]) for start in range(0, song.shape[1], 7_001)]
    parts.append(stream.flush())
    for stem in STEMS:
        np.testing.assert_allclose(np.concatenate([part[stem] for part in parts], 1), whole[stem], atol=1e-5)


@pytest.mark.parametrize("samples", [0, 1, 959, 6 * FRAME - 960, 6 * FRAME, 10 * FRAME - 960, 10 * FRAME - 959, 50_001])
def test_any_length_comes_back(make_net: MakeNet, samples: int) -> None:
    separator = PaperSeparator(make_net())
    song = tune(1.2, 48_000)[:, :samples]
    stems = separator.separate(song, 48_000)
    assert {stem.shape for stem in stems.values()} == {(2, samples)}
    np.testing.assert_allclose(np.sum(list(stems.values()), axis=0), song, atol=1e-5)


def test_segments_fade_into_one_another(make_net: MakeNet) -> None:
    net = make_net()
    separate = SegmentSeparator(net)
    song = tune(1.0, 48_000)[:, : 10 * FRAME]
    stream = SegmentStream(separate)
    out = np.concatenate([stream.push(song), stream.flush()], 1)
    first, second = (
        separate(song[None, :, start : start + separate.samples], k).reshape(8, -1) if k == 0 else found
        for k, start, found in ((0, 0, None), (1, separate.hop, _second(separate, song)))
    )
    fade = separate.kept - separate.hop
    np.testing.assert_allclose(out[:, : separate.hop], first[:, : separate.hop], atol=1e-6)
    meeting = out[:, separate.hop : separate.kept]
    share = (np.arange(fade) + 0.5) / fade
    wanted = share * second[:, :fade] + (1 - share) * first[:, separate.hop :]
    np.testing.assert_allclose(meeting, wanted, atol=1e-6)
    assert np.abs(first[:, separate.hop :] - second[:, :fade]).max() > 1e-3  # they do differ


def _second(separate: SegmentSeparator, song: np.ndarray) -> np.ndarray:
    padded = np.pad(song[:, separate.hop :], ((0, 0), (0, separate.samples)))[None, :, : separate.samples]
    return separate(padded, 1).reshape(8, -1)


def test_a_seed_repeats_itself(make_net: MakeNet) -> None:
    separator = PaperSeparator(make_net())
    song = tune(0.9, 48_000)
    one, again, other, greedy = (separator.separate(song, 48_000, seed)["drums"] for seed in (1, 1, 2, None))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-4 and np.abs(one - greedy).max() > 1e-4


def test_the_codec_can_be_heard_where_it_has_all_its_tokens(make_net: MakeNet) -> None:
    song = tune(0.5, 48_000)
    stems = PaperSeparator(make_net(), "codec").separate(song, 48_000)
    assert all(np.isfinite(stem).all() and stem.shape == song.shape for stem in stems.values())
    with pytest.raises(OptionError, match="acoustic tokens alone"):
        PaperSeparator(make_net(streams="acoustic"), "codec")


@pytest.mark.parametrize("streams", ["semantic", "acoustic"])
def test_other_streams_make_masks_too(make_net: MakeNet, streams: str) -> None:
    song = tune(0.4, 48_000)
    stems = PaperSeparator(make_net(streams=streams)).separate(song, 48_000)
    np.testing.assert_allclose(np.sum(list(stems.values()), axis=0), song, atol=1e-5)


def test_a_model_is_what_was_saved(make_net: MakeNet, tmp_path: Path) -> None:
    net = make_net(order="wavefront", aligned=True)
    save_paper(tmp_path / "model", net)
    loaded = load_paper(tmp_path / "model")
    assert loaded.config == net.config
    song = tune(0.4, 48_000)
    want, got = (PaperSeparator(each).separate(song, 48_000)["bass"] for each in (net, loaded))
    np.testing.assert_allclose(got, want, atol=0.02)


def test_what_is_no_paper_model_is_named(make_net: MakeNet, tmp_path: Path) -> None:
    with pytest.raises(StreamsepError, match="'tiny' has no language model for the mode paper; train one"):
        load_paper("tiny")
    with pytest.raises(StreamsepError, match="unknown model 'none'"):
        load_paper("none")
    save_paper(tmp_path, make_net())
    tensors = load_file(tmp_path / "paper.safetensors")
    save_file({name: t for name, t in tensors.items() if name != "lm.stem"}, tmp_path / "paper.safetensors")
    with pytest.raises(StreamsepError, match=r"damaged \(.*lm.stem"):
        load_paper(tmp_path)
    tensors["lm.stem"][0] = torch.nan
    save_file(tensors, tmp_path / "paper.safetensors")
    with pytest.raises(StreamsepError, match="not finite"):
        load_paper(tmp_path)
    (tmp_path / "paper.json").write_text("{")
    with pytest.raises(StreamsepError, match="damaged"):
        load_paper(tmp_path)


def test_configurations_that_cannot_be_are_refused() -> None:
    for bad in ({"order": "any"}, {"encoder": "cnn"}, {"streams": "none"}, {"overlap": 63}, {"condition_kernel": 4}):
        with pytest.raises(ValueError):
            PaperConfig(**bad)  # type: ignore[arg-type]


def test_the_paper_s_sizes() -> None:
    from streamsep.paper.config import PaperModelConfig
    from streamsep.paper.net import PaperNet
    from streamsep.train.recipe import load_recipe

    recipe = load_recipe("paper")
    with torch.device("meta"):
        net = PaperNet(PaperModelConfig(recipe.model.codec, recipe.paper))
    layers = [name for name, _ in net.lm.named_modules() if name.startswith("layers.") and name.count(".") == 1]
    assert len(layers) == 12
    block = net.lm.blocks[0]
    assert (block.attention.heads, block.attention.head_dim, block.mlp.down.in_features) == (8, 64, 2048)
    assert tuple(net.state_dict()["embedding.layers.1.convolution.depthwise.weight"].shape) == (512, 1, 31)
    assert tuple(net.state_dict()["embedding.layers.6.first.up.weight"].shape) == (2048, 512)
    assert net.config.paper.mels == 80
