"""Every stage of a small codec against outputs that were written once, by code checked against the original."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from streamsep.codec.hcodec2.vectors import TOLERANCE, compare_folder
from streamsep.errors import StreamsepError

VECTORS = Path(__file__).parent / "vectors"


def test_every_stage_is_as_it_was() -> None:
    found = list(compare_folder(VECTORS))
    assert {each.case for each in found} == {"noncausal", "causal", "units"}
    assert len(found) == 2 * 19 + 17
    assert [each for each in found if not each.within(TOLERANCE)] == []
    codes = [each for each in found if each.codes]
    assert len(codes) == 4 and all(each.total == 33 for each in codes)


def test_one_wrong_weight_is_seen_where_it_is(tmp_path: Path) -> None:
    folder = shutil.copytree(VECTORS, tmp_path / "vectors")
    weights = load_file(folder / "weights.safetensors")
    weights["decoder.post_net.0.gamma"][3] += 0.01
    save_file(weights, folder / "weights.safetensors")
    off = {each.stage for each in compare_folder(folder) if not each.within(TOLERANCE) and each.case == "causal"}
    assert off == {"stage.dec.post_net", "stage.dec.head_out_frames_btc", "out.decoded_wave"}


def test_one_wrong_code_is_counted(tmp_path: Path) -> None:
    folder = shutil.copytree(VECTORS, tmp_path / "vectors")
    weights = load_file(folder / "weights.safetensors")
    book = weights["quantizer.layers.2._codebook.embed"]
    book[:] = book.flip(1)
    save_file(weights, folder / "weights.safetensors")
    off = {each.stage: each for each in compare_folder(folder) if each.case == "causal"}
    assert off["out.acoustic_codes"].value > 0 and not off["out.acoustic_codes"].within(1e9)
    assert off["out.semantic_codes"].within(0)


def test_not_a_number_is_beyond_every_tolerance(tmp_path: Path) -> None:
    folder = shutil.copytree(VECTORS, tmp_path / "vectors")
    weights = load_file(folder / "weights.safetensors")
    weights["decoder.head.out.bias"][0] = torch.nan
    save_file(weights, folder / "weights.safetensors")
    (wave,) = [each for each in compare_folder(folder) if each.case == "causal" and each.stage == "out.decoded_wave"]
    assert not wave.within(1e9)


def test_folders_without_usable_vectors(tmp_path: Path) -> None:
    with pytest.raises(StreamsepError, match="is no folder"):
        list(compare_folder(tmp_path / "nowhere"))
    with pytest.raises(StreamsepError, match="holds no reference vectors"):
        list(compare_folder(tmp_path))
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(StreamsepError, match="is no JSON"):
        list(compare_folder(tmp_path))
    (tmp_path / "a.json").write_text(json.dumps({"config": {"sampling_rate": 1}, "weights_file": "w", "io_file": "i"}))
    with pytest.raises(StreamsepError, match=r"a\.json' cannot be run .*sampling_rate"):
        list(compare_folder(tmp_path))
