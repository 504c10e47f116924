"""The judges run, agree with their libraries run directly, and say in a line what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from streamsep.errors import OptionError
from streamsep.evaluate import perceptual
from streamsep.evaluate.perceptual import Dnsmos, Nisqa, Visqol, find_judges, loudest
from tests.sounds import tune

RATE = 48_000


def test_visqol_prefers_the_better_estimate_and_agrees_with_its_library() -> None:
    visqol = pytest.importorskip("visqol")
    true = tune(2.0, RATE)
    rng = np.random.default_rng(0)
    better, worse = ((true + gain * rng.standard_normal(true.shape)).astype(np.float32) for gain in (0.003, 0.1))
    judge = Visqol()
    good, bad = judge(better, true)["visqol"], judge(worse, true)["visqol"]
    assert 1 <= bad < good <= 5
    api = visqol.VisqolApi()
    api.create(mode="audio")
    theirs = api.measure_from_arrays(true.mean(0, dtype=float), worse.mean(0, dtype=float), RATE).moslqo
    assert bad == pytest.approx(theirs, abs=0.01)


def test_dnsmos_scores_vocals() -> None:
    pytest.importorskip("speechmos")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("librosa")
    sound = tune(2.0, RATE)
    found = Dnsmos()(sound, sound)
    assert set(found) == {"dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl"} and all(0.5 < v < 5 for v in found.values())


def test_nisqa_runs_from_a_weight_file(tmp_path: Path) -> None:
    """Of weights drawn at random: what is tested is the way from the file to the scores."""
    nisqa = pytest.importorskip("torchmetrics.functional.audio.nisqa")
    pytest.importorskip("librosa")
    pytest.importorskip("requests")
    args = {
        "ms_sr": None, "ms_fmax": 20_000, "ms_n_fft": 4_096, "ms_hop_length": 0.01, "ms_win_length": 0.02,
        "ms_n_mels": 48, "ms_seg_length": 15, "ms_seg_hop_length": 4, "ms_max_segments": 1_300,
        "cnn_c_out_1": 16, "cnn_c_out_2": 32, "cnn_c_out_3": 64, "cnn_kernel_size": [3, 3], "cnn_dropout": 0.2,
        "cnn_pool_1": [24, 7], "cnn_pool_2": [12, 5], "cnn_pool_3": [6, 3],
        "td_sa_d_model": 64, "td_sa_nhead": 1, "td_sa_pos_enc": None, "td_sa_num_layers": 2, "td_sa_h": 64,
        "td_sa_dropout": 0.1, "pool_att_h": 128, "pool_att_dropout": 0.1,
    }  # fmt: skip
    torch.manual_seed(0)
    model = nisqa._NISQADIM(args)
    torch.save({"args": args, "model_state_dict": model.state_dict()}, tmp_path / "nisqa.tar")
    sound = tune(1.0, RATE)
    found = Nisqa(tmp_path / "nisqa.tar")(sound, sound)
    assert set(found) == {"nisqa_mos", "nisqa_noisiness", "nisqa_coloration"}
    assert all(np.isfinite(value) for value in found.values())
    with pytest.raises(OptionError, match=r"not the file nisqa\.tar"):
        Nisqa(tmp_path / "other.tar")
    (tmp_path / "nisqa.tar").write_bytes(b"nothing")
    with pytest.raises(OptionError, match="holds no weights"):
        Nisqa(tmp_path / "nisqa.tar")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: None)
    judges, notes = find_judges()
    assert judges == [] and len(notes) == 3
    assert notes[0] == "ViSQOL is left out: visqol is missing; pip install 'streamsep[evaluate]'."
    assert "--nisqa" in notes[2]


def test_the_loudest_part_is_found() -> None:
    sound = np.full((2, 12 * RATE), 0.01, np.float32)
    sound[:, 7 * RATE : 9 * RATE] = 0.5
    part = loudest(sound, 2)
    assert (part.start, part.stop) == (7 * RATE, 9 * RATE)
    assert loudest(sound[:, :RATE], 5) == slice(0, RATE)
