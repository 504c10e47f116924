"""The bank: what its index may say, its split, its samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamsep.config import STEMS
from streamsep.data.bank import Bank, is_held_out
from streamsep.data.drumkit import role_of
from streamsep.data.phrases import mono_piece
from streamsep.errors import AudioError, OptionError


def test_split_is_disjoint_complete_and_by_name_alone(bank_index: Path) -> None:
    bank = Bank.open(bank_index)
    train, test = bank.split("train"), bank.split("test")
    assert {c.key for c in train.clips} | {c.key for c in test.clips} == {c.key for c in bank.clips}
    assert not {c.key for c in train.clips} & {c.key for c in test.clips}
    assert [c.key for c in bank.split("valid").clips] == [c.key for c in test.clips]
    assert train.songs and not test.songs
    share = np.mean([is_held_out(f"drums/kit/{i}.opus") for i in range(4_000)])
    assert 0.08 < share < 0.12


def test_samples_are_float_at_48_khz_and_decoded_once(tmp_path: Path) -> None:
    (tmp_path / "drums").mkdir()
    soundfile.write(tmp_path / "drums" / "a.wav", np.full((2_400, 2), 0.5, np.float32), 24_000)
    index = tmp_path / "bank.jsonl"
    index.write_text(json.dumps({"path": "drums/a.wav", "stem": "drums"}) + "\n")
    bank = Bank.open(index)
    sound = bank.load(bank.clips[0])
    assert sound.dtype == np.float32 and sound.shape == (2, 4_800)
    assert abs(float(sound[0, 2_400]) - 0.5) < 0.01
    (tmp_path / "drums" / "a.wav").unlink()
    assert np.array_equal(bank.load(bank.clips[0]), sound)


def test_room_is_kept(bank_index: Path) -> None:
    bank = Bank.open(bank_index)
    small = Bank(bank.clips, {}, room=100_000)
    for clip in small.of("bass"):
        small.load(clip)
    assert small._bytes <= 100_000  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "names no sound"),
        ("{nonsense\n", "line 1"),
        ('{"path": "a.wav", "stem": "drums"}\n{"path": "b.wav", "stem": "flute"}\n', "line 2"),
        ("[1, 2]\n", "needs a path"),
        ('{"path": "a.wav", "stem": "bass", "duration_s": "2.5 s"}\n', "line 1 .* duration_s"),
    ],
)
def test_bad_index_is_refused_in_words(tmp_path: Path, text: str, says: str) -> None:
    index = tmp_path / "bank.jsonl"
    index.write_text(text)
    with pytest.raises(OptionError, match=says):
        Bank.open(index)


def test_missing_index_and_missing_sound(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read"):
        Bank.open(tmp_path / "none.jsonl")
    index = tmp_path / "bank.jsonl"
    index.write_text('{"path": "gone.wav", "stem": "bass"}\n')
    bank = Bank.open(index)
    with pytest.raises(AudioError, match="gone.wav"):
        bank.load(bank.clips[0])


def test_measured_pitch_wins_unless_names_are_trustworthy(tmp_path: Path) -> None:
    rows = [
        {"path": f"x/{i}", "stem": "bass", "library": "good", "midi_pitch": 30 + i, "f0_midi_est": 30.1 + i}
        for i in range(8)
    ]
    rows.append({"path": "x/odd", "stem": "bass", "library": "good", "midi_pitch": 40, "f0_midi_est": 52.0})
    rows += [
        {"path": f"y/{i}", "stem": "bass", "library": "bad", "midi_pitch": 60, "f0_midi_est": 40.0 + i}
        for i in range(4)
    ]
    rows.append({"path": "y/none", "stem": "bass", "library": "bad", "midi_pitch": 60, "f0_midi_est": None})
    rows.append({"path": "y/silly", "stem": "bass", "library": "bad", "midi_pitch": None, "f0_midi_est": 3.0})
    index = tmp_path / "bank.jsonl"
    index.write_text("\n".join(json.dumps(row) for row in rows))
    pitches = {clip.key: clip.pitch for clip in Bank.open(index).clips}
    assert pitches["x/0"] == 30.1 and pitches["x/odd"] == 40.0
    assert pitches["y/1"] == 41.0 and pitches["y/none"] is None and pitches["y/silly"] is None


@pytest.mark.parametrize(
    "instrument, file, role",
    [
        ("kick", "808_kick", "kick"), ("bd5050", "bd5050", "kick"), ("drum", "drum_bass_hard", "kick"),
        ("kdruml", "KDrumL_3", "kick"), ("sd", "sd_10_sd", "snare"), ("snare_edge", "se_vl1", "snare"),
        ("hihat-open", "x", "open"), ("oh25", "oh25", "open"), ("hhclosed-1", "x", "hat"), ("hat", "hat_zan", "hat"),
        ("crashl", "CrashL_01", "crash"), ("cy0050", "cy0050", "crash"), ("ridel", "RideL_1", "ride"),
        ("tom-low", "x", "tom3"), ("DT_Tom01", "x", "tom1"), ("DT_Clap", "x", "clap"), ("sidestick", "x", "rim"),
        ("tabla", "tabla_ke1", "perc"), ("cowbell", "x", "perc"),
    ],
)  # fmt: skip
def test_roles_of_drums(tmp_path: Path, instrument: str, file: str, role: str) -> None:
    index = tmp_path / "bank.jsonl"
    index.write_text(json.dumps({"path": f"{file}.wav", "stem": "drums", "instrument": instrument}))
    assert role_of(Bank.open(index).clips[0]) == role


def test_songs_of_one_library_are_not_mixed_up(tmp_path: Path) -> None:
    paths = ["one/vocals.wav", "one/drums.wav", "two/drums.wav", "two/bass.wav", "long.wav", "longer.wav"]
    stems = ["vocals", "drums", "drums", "bass", "other", "other"]
    rows = [{"path": p, "stem": s, "library": "mine", "duration_s": 90.0} for p, s in zip(paths, stems, strict=True)]
    rows += [{"path": f"{stem}/theirs/song.wav", "stem": stem, "library": "theirs", "duration_s": 90} for stem in STEMS]
    index = tmp_path / "bank.jsonl"
    index.write_text("\n".join(map(json.dumps, rows)))
    songs = Bank.open(index).songs
    found = [{stem: clip.key for stem, clip in song.items()} for song in songs.values()]
    assert {"vocals": "one/vocals.wav", "drums": "one/drums.wav"} in found
    assert {"drums": "two/drums.wav", "bass": "two/bass.wav"} in found
    assert {"other": "long.wav"} in found and {"other": "longer.wav"} in found
    assert list(songs["theirs"]) == list(STEMS) and len(songs) == 5


def test_a_silent_clip_is_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(96_000), 48_000)
    index = tmp_path / "bank.jsonl"
    index.write_text(json.dumps({"path": "a.wav", "stem": "vocals", "articulation": "phrase"}))
    bank = Bank.open(index)
    piece = mono_piece(bank, bank.clips[0], np.random.default_rng(1), seconds=1.0)
    assert piece.shape[-1] and not piece.any()
