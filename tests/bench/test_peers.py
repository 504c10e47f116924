"""The harness of the race: windows under live conditions, and the answers of a model's process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from streamsep.errors import OptionError
from tests.bench.peers.__main__ import joined
from tests.bench.peers.peer import PEERS, Chunked
from tests.bench.peers.race import race
from tests.bench.peers.stand_ins import stand_in
from tests.bench.peers.worker import Runner


@pytest.fixture(autouse=True)
def gradients_again() -> Iterator[None]:
    """A peer's process switches them off, for good."""
    yield
    torch.set_grad_enabled(True)


@pytest.mark.parametrize("blocks", [[40], [7, 55, 13], [1]])
def test_chunks_of_a_model_that_does_nothing_are_the_sound(blocks: list[int]) -> None:
    sound = np.random.default_rng(0).standard_normal((2, 600)).astype(np.float32)
    chunked = Chunked(lambda window: window, 2, window=200, hop=40, margin=15)
    parts, start = [], 0
    while start < 600:
        size = blocks[len(parts) % len(blocks)]
        parts.append(chunked.push(sound[:, start : start + size]))
        start += size
    out = np.concatenate(parts, axis=1)
    np.testing.assert_array_equal(out, sound[:, : 600 - 15])


def test_a_sample_waits_for_its_hop_and_the_margin() -> None:
    chunked = Chunked(lambda window: window, 2, window=200, hop=40, margin=15)
    given, longest = 0, 0
    for pushed in range(1, 601):
        count = chunked.push(np.zeros((2, 1), np.float32)).shape[1]
        if count:
            longest, given = max(longest, pushed - given), given + count
    assert longest == 40 + 15


def test_the_model_hears_past_the_hop_and_into_the_past() -> None:
    heard: list[np.ndarray] = []
    chunked = Chunked(lambda window: heard.append(window.copy()) or window, 2, window=100, hop=40, margin=15)
    chunked.push(np.arange(160, dtype=np.float32).reshape(1, -1).repeat(2, 0))
    assert [int(window[0, -1]) for window in heard] == [39, 79, 119, 159]
    assert int(heard[-1][0, 0]) == 60


def test_a_peer_that_is_not_there_is_named_and_left_out(tmp_path: Path) -> None:
    np.save(tmp_path / "song.npy", np.zeros((2, 48_000), np.float32))
    absent = [peer for peer in PEERS if peer.package and not _installed(peer.package)][:1]
    if not absent:
        pytest.skip("all peers are installed here")
    found = race(absent, tmp_path / "song.npy", 1, 1, 0.1, 0.1, lambda _: None)
    assert found["rows"] == []
    assert f"pip install {absent[0].package}" in found["missing"][absent[0].name]


def test_our_own_row_is_measured() -> None:
    runner = Runner(PEERS[0], 1)
    song = 0.1 * np.random.default_rng(0).standard_normal((2, 48_000)).astype(np.float32)
    said = runner.round(song, 0.9, 0.2, 60)  # over the end of the song: it begins again
    assert said["seconds"] == pytest.approx(0.2)
    assert len(said["times"]) == 5
    assert runner.latency() == {"samples": 2_880, "by": "click"}
    assert runner.waited() == 1_920 + 960  # a frame, and half a window that it is held back
    per_second = runner.flops()
    weights = 2 * runner.built.parameters * 25
    assert weights / 2 < per_second < 20 * weights  # most weights meet the frame once, some seven times


def _report(*rows: dict[str, object], **more: object) -> dict[str, object]:
    return {"device": "cpu", "processor": "x", "threads": 1, "torch": "2", "rows": list(rows), "missing": {}, **more}


def test_results_of_several_calls_become_one_table() -> None:
    ours, other = PEERS[0].name, PEERS[2].name
    before = _report({"name": ours, "real_time_factor": 0.2}, {"name": other, "gflops_per_second": 9.0})
    before["missing"] = {other: "not installed then", "gone": "not installed"}
    now = _report({"name": other, "real_time_factor": 3.0}, {"name": ours, "real_time_factor": 0.3, "step_ms": 9.0})
    found = joined(before, now)
    assert found["rows"] == [
        {"name": ours, "real_time_factor": 0.2, "step_ms": 9.0},
        {"name": other, "gflops_per_second": 9.0, "real_time_factor": 3.0},
    ]
    assert found["missing"] == {"gone": "not installed"}
    with pytest.raises(OptionError, match="another threads"):
        joined(before, _report(threads=2))


def test_what_cannot_be_loaded_has_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchaudio", None)  # importing it fails
    assert stand_in("torchaudio")
    from torchaudio import functional, transforms

    assert functional.resample is None and not hasattr(transforms, "Spectrogram")
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)


def _installed(package: str) -> bool:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
