"""Token files: ``.npz`` or ``.safetensors``, codes and what is needed to decode them. Knows no codec and no sound."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from streamsep.errors import OptionError, OutputError, StreamsepError

SUFFIXES = (".npz", ".safetensors")
LEVEL_BITS = 8
_VERSION = 1
# What numpy, zipfile and safetensors raise for bytes that are not what they should be; NotImplementedError is one.
_DAMAGED = (
    *(ValueError, KeyError, TypeError, EOFError, IndexError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, SafetensorError),
)
_ABOUT = "about"


@dataclass(frozen=True)
class TokenFormat:
    """What the codes are of. ``fingerprint`` tells codecs apart that have the same sizes."""

    codec: str
    fingerprint: str
    rate: int  # Hz of the sound that comes back
    channels: int
    token_hop: int  # samples of one token
    entries: int  # of each codebook
    codebooks: int
    semantic: int  # of the codebooks; these come first
    levels: bool  # one byte a token besides the codes
    piece: int = 0  # tokens that are coded together, apart from all others; 0 is a stream

    @property
    def bits_per_second(self) -> float:
        bits = self.codebooks * math.log2(self.entries) + (LEVEL_BITS if self.levels else 0)
        return bits * self.rate / self.token_hop


@dataclass(frozen=True)
class Tokens:
    """``codes`` [N, Q] uint16, ``levels`` [N] uint8 (zeros without levels), ``samples`` of sound they stand for."""

    format: TokenFormat
    samples: int
    codes: NDArray[np.uint16]
    levels: NDArray[np.uint8]

    @property
    def seconds(self) -> float:
        return self.samples / self.format.rate


def check_suffix(path: Path) -> None:
    """Raise OptionError for a name that is none of a token file."""
    if path.suffix not in SUFFIXES:
        raise OptionError(f"'{path}' is no name of a token file; let it end in {' or '.join(SUFFIXES)}.")


def check_output(path: Path, overwrite: bool) -> None:
    """Raise OptionError or OutputError for a place where no token file can be written."""
    check_suffix(path)
    if path.exists() and not overwrite:
        raise OutputError(f"'{path}' exists already; choose another name or allow --overwrite.")


def write_tokens(path: Path, tokens: Tokens, overwrite: bool = False) -> None:
    """Write a token file, whole or not at all. Raises OutputError when it cannot be written or exists already."""
    check_output(path, overwrite)
    about = json.dumps({"version": _VERSION, "samples": tokens.samples, **dataclasses.asdict(tokens.format)})
    arrays: dict[str, NDArray[Any]] = {"codes": tokens.codes}
    if tokens.format.levels:
        arrays["levels"] = tokens.levels
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npz":
            with part.open("wb") as file:
                np.savez_compressed(file, **{**arrays, _ABOUT: np.array(about)})  # pyright: ignore[reportArgumentType]
        else:
            save_file(arrays, part, {_ABOUT: about})
            part.chmod(0o644)
        part.replace(path)
    except (OSError, SafetensorError) as error:
        text = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputError(f"'{path}' cannot be written: {text}.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def read_tokens(path: Path) -> Tokens:
    """Read a token file. Raises StreamsepError, one sentence, for one that is missing, damaged or inconsistent."""
    check_suffix(path)
    try:
        arrays, about = _read_npz(path) if path.suffix == ".npz" else _read_safetensors(path)
        raw = json.loads(about)
        if raw.pop("version") != _VERSION:
            raise ValueError("it is of another version")
        samples = int(raw.pop("samples"))
        tokens = Tokens(TokenFormat(**raw), samples, arrays["codes"], arrays.get("levels", _no_levels(arrays["codes"])))
        _check(tokens)
        return tokens
    except FileNotFoundError as error:
        raise StreamsepError(f"'{path}' does not exist; check the name.") from error
    except OSError as error:
        raise StreamsepError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    except _DAMAGED as error:
        text = " ".join(str(error).split())
        raise StreamsepError(f"'{path}' is damaged or no token file ({text}); encode the sound again.") from error


def _no_levels(codes: NDArray[np.uint16]) -> NDArray[np.uint8]:
    return np.zeros(len(codes), np.uint8)


def _read_npz(path: Path) -> tuple[dict[str, NDArray[Any]], str]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files if name != _ABOUT}, str(file[_ABOUT])


def _read_safetensors(path: Path) -> tuple[dict[str, NDArray[Any]], str]:
    with safe_open(path, "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()[_ABOUT]  # noqa: SIM118


def _check(tokens: Tokens) -> None:
    """Raise ValueError for content that no encoder writes."""
    f, codes = tokens.format, tokens.codes
    if codes.dtype != np.uint16 or codes.ndim != 2 or codes.shape[1] != f.codebooks:
        raise ValueError(f"codes are {codes.dtype} {list(codes.shape)}, not uint16 [tokens, {f.codebooks}]")
    if tokens.levels.dtype != np.uint8 or tokens.levels.shape != codes.shape[:1]:
        raise ValueError("there is not one level a token")
    if min(f.rate, f.channels, f.token_hop, f.codebooks, f.entries - 1) < 1 or not 0 <= f.semantic <= f.codebooks:
        raise ValueError("its sizes make no sense")
    if codes.size and int(codes.max()) >= f.entries:
        raise ValueError(f"a code is beyond the {f.entries} entries of its codebook")
    if not 0 <= tokens.samples <= len(codes) * f.token_hop:
        raise ValueError(f"{len(codes)} tokens are too few for {tokens.samples} samples")
