"""Labels from a teacher: gated, complete, and dropped where they do not add up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamsep.data.gate import BLOCK, vocal_activity
from streamsep.data.pool import open_pool
from streamsep.data.pseudo import PseudoOptions, complete, pseudo_label, residual_db
from streamsep.data.systems import System
from streamsep.errors import OptionError
from tests.sounds import tune

RATE = 48_000


def quarters(mixture: np.ndarray) -> dict[str, np.ndarray]:
    """A teacher for whom each stem is a quarter, and vocals only sing in the first second."""
    stems = {name: mixture / 4 for name in ("drums", "bass", "other")}
    vocals = mixture / 4
    vocals[:, RATE:] *= 1e-4
    return {**stems, "vocals": vocals, "other": mixture - vocals - mixture / 2}


def write(path: Path, seconds: float = 3.0) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = tune(seconds, RATE)
    soundfile.write(path, sound.T, RATE, subtype="FLOAT")
    return sound


def test_songs_become_a_pool_whose_stems_add_up(tmp_path: Path) -> None:
    sound = write(tmp_path / "music" / "album" / "song.wav")
    (tmp_path / "music" / "cover.jpg").write_bytes(b"x")
    options = PseudoOptions(gate="energy")
    report = pseudo_label(tmp_path / "music", tmp_path / "pool", System("quarters", quarters), options)
    assert (report.songs, report.pieces, report.dropped, report.failures) == (1, 1, 0, [])
    (song,) = open_pool([tmp_path / "pool"])
    assert song.meta["teacher"] == "quarters" and song.meta["gate"] == "energy" and song.meta["split"] == "train"
    np.testing.assert_allclose(song.stems.sum(0) / 32_768, sound, atol=1e-3)
    assert song.stems[0, :, : RATE // 2].any() and not song.stems[0, :, 2 * RATE :].any()
    assert 1.0 <= report.vocal_seconds < 1.6
    again = pseudo_label(tmp_path / "music", tmp_path / "pool", System("quarters", quarters), options)
    assert again.pieces == 0 and "already" in again.notes[0]


def test_songs_whose_names_meet_stay_apart(tmp_path: Path) -> None:
    for name in ("a.b.wav", "a_b.wav", "Artist - Song.wav", "Artist/Song.wav"):
        write(tmp_path / "music" / name)
    teacher, options = System("quarters", quarters), PseudoOptions(gate="energy")
    report = pseudo_label(tmp_path / "music", tmp_path / "pool", teacher, options)
    assert (report.songs, report.notes) == (4, []) and len(open_pool([tmp_path / "pool"])) == 4
    assert len(pseudo_label(tmp_path / "music", tmp_path / "pool", teacher, options).notes) == 4


def test_stems_louder_than_full_scale_still_add_up(tmp_path: Path) -> None:
    sound = write(tmp_path / "song.wav")
    apart = {"drums": 3 * sound, "bass": -3 * sound, "vocals": 0 * sound, "other": sound}
    report = pseudo_label(tmp_path / "song.wav", tmp_path / "pool", System("x", lambda _: apart), PseudoOptions())
    assert report.songs == 1 and np.abs(3 * sound).max() > 1
    (song,) = open_pool([tmp_path / "pool"])
    gain = 0.999 / np.abs(3 * sound).max()
    np.testing.assert_allclose(song.stems.sum(0) / 32_768, gain * sound, atol=1e-3)


def test_what_does_not_add_up_is_dropped(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    teacher = System("loud", lambda mixture: {name: mixture for name in ("vocals", "drums", "bass", "other")})
    report = pseudo_label(tmp_path / "a.wav", tmp_path / "pool", teacher, PseudoOptions(gate="none"))
    assert report.dropped == 1 and report.songs == 0 and "adds up" in report.failures[0]
    two = System("two", lambda mixture: {"vocals": mixture})
    report = pseudo_label(tmp_path / "a.wav", tmp_path / "pool", two, PseudoOptions(gate="none"))
    assert "gave no drums, bass, other" in report.failures[0]


def test_residual_and_gate_by_hand() -> None:
    mixture = tune(2.0, RATE)
    stems = np.stack([mixture / 4] * 4)
    assert residual_db(mixture, stems) < -110
    assert residual_db(mixture, stems[:2]) == pytest.approx(-6.02, abs=0.01)
    vocals = mixture.copy()
    vocals[:, RATE:] = 0
    heard = vocal_activity(vocals, mixture, "energy")
    assert heard[: RATE // BLOCK].all() and not heard[RATE // BLOCK + 7 :].any()
    whole, share = complete(mixture, np.stack([vocals, *stems[1:]]), "energy")
    np.testing.assert_allclose(whole.sum(0), mixture, atol=1e-6)
    assert share == pytest.approx(0.65, abs=0.03)


def test_silero_hears_no_speech_in_noise() -> None:
    pytest.importorskip("silero_vad")
    noise = (0.1 * np.random.default_rng(0).standard_normal((2, 3 * RATE))).astype(np.float32)
    assert not vocal_activity(noise, noise, "silero").any()


@pytest.mark.parametrize("bad", [{"gate": "ear"}, {"max_residual": 3.0}, {"format": "aiff"}])
def test_options_that_make_no_sense(bad: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        PseudoOptions(**bad)  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError):
        pseudo_label(Path("nowhere"), Path("out"), System("x", dict), PseudoOptions())
