"""Token files: what is written comes back, and what no encoder wrote is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamsep.errors import OptionError, OutputError, StreamsepError
from streamsep.transcode.tokens import SUFFIXES, TokenFormat, Tokens, read_tokens, write_tokens

FORMAT = TokenFormat("tiny", "0123", 48_000, 2, 1_920, 512, 8, 4, True)


def some(count: int = 10, layout: TokenFormat = FORMAT) -> Tokens:
    rng = np.random.default_rng(0)
    codes = rng.integers(layout.entries, size=(count, layout.codebooks)).astype(np.uint16)
    levels = rng.integers(256, size=count).astype(np.uint8) if layout.levels else np.zeros(count, np.uint8)
    return Tokens(layout, count * layout.token_hop - 7, codes, levels)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("levels", [True, False])
def test_what_is_written_comes_back(tmp_path: Path, suffix: str, levels: bool) -> None:
    tokens = some(layout=dataclasses.replace(FORMAT, levels=levels))
    write_tokens(tmp_path / f"a{suffix}", tokens)
    back = read_tokens(tmp_path / f"a{suffix}")
    assert (back.format, back.samples) == (tokens.format, tokens.samples)
    np.testing.assert_array_equal(back.codes, tokens.codes)
    np.testing.assert_array_equal(back.levels, tokens.levels)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_bitrates() -> None:
    assert FORMAT.bits_per_second == 25 * (8 * 9 + 8)
    published = TokenFormat("hcodec-2.0", "", 48_000, 1, 3_840, 1_024, 32, 16, False)
    assert published.bits_per_second == 4_000


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_files_that_are_damaged_or_something_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with pytest.raises(StreamsepError, match="does not exist"):
        read_tokens(path)
    write_tokens(path, some())
    content = path.read_bytes()
    for cut in (0, 3, 20, len(content) // 2, len(content) - 30):
        path.write_bytes(content[:cut])
        with pytest.raises(StreamsepError, match="damaged or no token file"):
            read_tokens(path)
    path.write_text("nothing of the kind")
    with pytest.raises(StreamsepError, match="damaged or no token file"):
        read_tokens(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"codebooks": 7}, "not uint16"),
        ({"entries": 100}, "beyond the 100 entries"),
        ({"semantic": 9}, "no sense"),
        ({"token_hop": 0}, "no sense"),
        ({"samples": 10**9}, "too few"),
        ({"version": 2}, "another version"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_content_that_contradicts_itself(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    write_tokens(tmp_path / "a.npz", some())
    with np.load(tmp_path / "a.npz") as file:
        arrays = dict(file)
    arrays["about"] = np.array(json.dumps({**json.loads(str(arrays["about"])), **change}))
    np.savez(tmp_path / "b.npz", **arrays)  # pyright: ignore[reportArgumentType]
    with pytest.raises(StreamsepError, match=said):
        read_tokens(tmp_path / "b.npz")


def test_a_pickle_in_an_archive_is_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", codes=np.array([{"code": 1}], object), about=np.array("{}"))
    with pytest.raises(StreamsepError, match="damaged or no token file"):
        read_tokens(tmp_path / "a.npz")


def test_nothing_is_overwritten_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        write_tokens(path, some())
    assert path.read_text() == "mine"
    write_tokens(path, some(), overwrite=True)
    assert len(read_tokens(path).codes) == 10


def test_names_and_folders_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\.npz or \.safetensors"):
        write_tokens(tmp_path / "a.txt", some())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        write_tokens(tmp_path / "file" / "a.npz", some())


def test_a_flipped_bit_anywhere_is_a_sentence(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        path = tmp_path / f"a{suffix}"
        write_tokens(path, some())
        whole = path.read_bytes()
        refused = 0
        for bit in np.random.default_rng(1).choice(8 * len(whole), 400, replace=False):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << int(bit % 8)
            path.write_bytes(damaged)
            try:
                read_tokens(path)
            except StreamsepError:
                refused += 1
        assert refused > 50
