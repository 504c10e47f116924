"""``streamsep data`` as users run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from streamsep.cli import main
from streamsep.config import STEMS


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streamsep", "data", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_help_has_examples_and_needs_nothing_heavy() -> None:
    code = (
        "import sys, streamsep.data.cli as c; "
        "assert not {'torch', 'numpy', 'scipy', 'numba', 'rich', 'av'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for command in ("compose", "import"):
        done = run(command, "--help")
        assert done.returncode == 0 and "Examples:" in done.stdout and f"streamsep data {command}" in done.stdout


def test_compose_without_a_bank_then_import_what_was_made(tmp_path: Path) -> None:
    done = run("compose", tmp_path / "songs", "--songs", "1", "--seconds", "2", "--format", "wav")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "songs").iterdir()
    for name in (*STEMS, "mixture"):
        info = soundfile.info(folder / f"{name}.wav")
        assert (info.frames, info.samplerate, info.channels) == (96_000, 48_000, 2)
    done = run("import", tmp_path / "songs", tmp_path / "pool")
    assert done.returncode == 0 and "1 songs" in done.stdout, done.stderr


def test_compose_with_a_bank_adds_its_whole_songs(tmp_path: Path, bank_index: Path) -> None:
    done = run("compose", tmp_path, "--songs", "1", "--seconds", "1.5", "--bank", bank_index)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["act_00", "train_01000000"]


def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ("compose", tmp_path / "x", "--songs", "0"),
        ("compose", tmp_path / "x", "--seconds", "0.1"),
        ("compose", tmp_path / "x", "--format", "aiff"),
        ("compose", tmp_path / "x", "--split", "dev"),
        ("compose", tmp_path / "x", "--workers", "0"),
        ("compose", tmp_path / "x", "--bank", tmp_path / "none.jsonl"),
        ("import", tmp_path / "none", tmp_path / "x"),
    ):
        with pytest.raises(SystemExit) as left:
            main(["data", *map(str, arguments)])
        out, err = capfd.readouterr()
        assert left.value.code == 2 and out == "", arguments
        assert err.startswith("streamsep: ") and len(err.strip().splitlines()) == 1
        assert not (tmp_path / "x").exists()


def test_import_ends_non_zero_when_a_song_failed(tmp_path: Path) -> None:
    (tmp_path / "songs" / "bad").mkdir(parents=True)
    (tmp_path / "songs" / "bad" / "drums.wav").write_bytes(b"nothing")
    done = run("import", tmp_path / "songs", tmp_path / "pool")
    assert done.returncode == 2 and "bad" in done.stderr and "skipped" in done.stderr
