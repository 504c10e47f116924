"""BSS Eval, plain and scale-invariant ratios agree with the published implementations, run directly."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import fast_bss_eval
import numpy as np
import pytest
import torch

from streamsep.evaluate.bsseval import BssEval
from streamsep.evaluate.metrics import si_sdr, windows
from streamsep.evaluate.sdr import song_si_sdr, utterance_sdr, window_sdr
from tests.sounds import tune

RATE = 8_000  # windows of a second, so that museval stays quick


def stems_and_estimates(seconds: float = 3.5, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """[count, 2, n] twice: filtered, leaking and noisy estimates."""
    stems = np.stack([np.roll(tune(seconds, RATE, 2, seed=i), 300 * i, 1) * (0.3 + 0.2 * i) for i in range(count)])
    rng = np.random.default_rng(5)
    leaking = 0.8 * stems + 0.1 * np.roll(stems, 1, 0) + 0.02 * rng.standard_normal(stems.shape)
    leaking[:, :, 3:] += 0.3 * stems[:, :, :-3]
    return stems.astype(np.float32), leaking.astype(np.float32)


def museval_metrics() -> Any:
    """museval's own metrics.py, without its package: that wants an ffmpeg program to be imported."""
    package = importlib.util.find_spec("museval")
    assert package is not None and package.origin is not None
    spec = importlib.util.spec_from_file_location("museval_metrics", Path(package.origin).with_name("metrics.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_museval(stems: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = museval_metrics().bss_eval(stems.swapaxes(1, 2), estimates.swapaxes(1, 2), window=RATE, hop=RATE)
    return np.stack(found[:4])


def test_agrees_with_museval() -> None:
    stems, estimates = stems_and_estimates(count=3)
    ours = BssEval(stems, window=RATE)(estimates)
    assert ours.shape == (4, 3, 3)
    np.testing.assert_allclose(ours, by_museval(stems, estimates), atol=0.01)


def test_windows_with_a_silent_stem_are_left_out_as_museval_does() -> None:
    stems, estimates = stems_and_estimates()
    stems[1, :, RATE : 2 * RATE] = 0
    estimates[0, :, :RATE] = 0
    ours = BssEval(stems, window=RATE)(estimates)
    np.testing.assert_allclose(ours, by_museval(stems, estimates), atol=0.01)
    assert np.isnan(ours[:, :, :2]).all() and np.isfinite(ours[:, :, 2]).all()


def test_a_short_song_is_one_window_and_silence_is_refused() -> None:
    stems, estimates = stems_and_estimates(0.5)
    np.testing.assert_allclose(BssEval(stems, window=RATE)(estimates), by_museval(stems, estimates), atol=0.01)
    stems[1] = 0
    with pytest.raises(ValueError, match="silent throughout"):
        BssEval(stems)
    with pytest.raises(ValueError, match="shape"):
        BssEval(stems[:1])(estimates)


def test_sdr_by_hand() -> None:
    """Orthogonal by construction: e = s/2 + n with |n|² = |s|²/16, apart in time by more than the filters' reach."""
    rng = np.random.default_rng(0)
    stems = np.zeros((2, 1, 8_000), np.float32)
    stems[0, 0, :3_000] = rng.standard_normal(3_000)
    stems[1, 0, 4_000:7_000] = rng.standard_normal(3_000)
    estimates = stems.copy()
    estimates[0] = 0.5 * stems[0] + 0.25 * stems[1] * np.float32(np.linalg.norm(stems[0]) / np.linalg.norm(stems[1]))
    sdr, isr, sir, sar = BssEval(stems, window=8_000)(estimates)[:, 0, 0]
    assert sdr == pytest.approx(-10 * np.log10(0.25 + 0.0625), abs=1e-3)
    assert isr == pytest.approx(20 * np.log10(2), abs=1e-3)  # the gain of a half is spatial distortion
    assert sir == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert sar > 60  # nothing but the stems is in it


def test_si_sdr_agrees_with_fast_bss_eval() -> None:
    stems, estimates = stems_and_estimates()
    for true, made in zip(stems, estimates, strict=True):
        cut, found = windows(true, RATE), windows(made, RATE)
        theirs = np.array(
            [fast_bss_eval.si_sdr(r[None], e[None], clamp_db=None)[0] for r, e in zip(cut, found, strict=True)]
        )
        np.testing.assert_allclose(si_sdr(found, cut), theirs, atol=0.01)
        whole = fast_bss_eval.si_sdr(true.reshape(1, -1).astype(float), made.reshape(1, -1).astype(float))
        assert song_si_sdr(made, true) == pytest.approx(float(whole[0]), abs=0.01)


def test_sir_and_sar_agree_with_fast_bss_eval_for_one_channel() -> None:
    """Of one channel, SIR and SAR are the same in version 3, of which this is another implementation."""
    stems, estimates = stems_and_estimates()
    single, made = stems[:, :1], estimates[:, :1]
    ours = BssEval(single, window=single.shape[-1])(made)
    theirs = fast_bss_eval.bss_eval_sources(
        torch.from_numpy(single[:, 0]).double(), torch.from_numpy(made[:, 0]).double(), compute_permutation=False
    )
    np.testing.assert_allclose(ours[2, :, 0], theirs[1].numpy(), atol=0.01)
    np.testing.assert_allclose(ours[3, :, 0], theirs[2].numpy(), atol=0.01)


def test_utterance_and_window_sdr_by_hand() -> None:
    true = np.array([[3.0, 0.0], [0.0, 4.0]], np.float32)
    made = np.array([[3.0, 1.0], [0.0, 4.0]], np.float32)
    assert utterance_sdr(made, true) == pytest.approx(10 * np.log10(25), abs=1e-5)
    assert utterance_sdr(np.zeros_like(true), true) == pytest.approx(0, abs=1e-6)
    assert utterance_sdr(np.zeros_like(true), np.zeros_like(true)) == pytest.approx(0, abs=1e-6)
    reference = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]])
    estimate = np.array([[3.0, 5.0], [1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(window_sdr(estimate, reference), [10 * np.log10(25), np.nan, 60])
