"""Which implementation serves an op: preferences, explicit choices, the environment variable."""

from __future__ import annotations

import importlib.util
import logging

import pytest

from kernels import registry
from kernels.registry import IMPLEMENTATIONS, VARIABLE, KernelError, overrides, resolve, table


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_numba_is_preferred_on_the_cpu_and_an_explicit_choice_is_obeyed() -> None:
    assert str(resolve("depth_decode", "cpu")) == "depth_decode: numba"
    reference = resolve("depth_decode", "cpu", "reference")
    assert reference.function.__module__ == "kernels.reference.depth_decode"
    assert resolve("istft_ola", "cuda").implementation.backend == "reference"


@pytest.mark.parametrize(
    ("op", "device", "backend"),
    [
        ("depth_decode", "cuda", "numba"),
        ("depth_decode", "cpu", "magic"),
        ("x", "cpu", "auto"),
        ("swiglu", "tpu", "auto"),
    ],
)
def test_an_impossible_choice_is_an_error(op: str, device: str, backend: str) -> None:
    with pytest.raises(KernelError, match=f"'{op}' on {device}: there is "):
        resolve(op, device, backend)


@pytest.mark.parametrize("known", IMPLEMENTATIONS, ids=lambda known: f"{known.op}-{known.backend}")
def test_every_implementation_loads(known: registry.Implementation) -> None:
    if known.missing():
        pytest.skip(f"the package {known.missing()} is missing")
    assert callable(resolve(known.op, known.devices[0], known.backend).function)


def test_triton_serves_a_cpu_only_when_it_interprets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(KernelError, match="no 'triton' implementation of 'rms_norm' on cpu"):
        resolve("rms_norm", "cpu", "triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert resolve("rms_norm", "cpu").implementation.backend == "numba"


def test_a_missing_package_is_passed_over_aloud_and_refused_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "triton" else found(name))
    with caplog.at_level(logging.WARNING):
        assert resolve("rms_norm", "cuda").implementation.backend == "native"
    assert "rms_norm: triton is passed over because the package triton is missing" in caplog.text
    with pytest.raises(KernelError, match="pip install triton"):
        resolve("rms_norm", "cuda", "triton")


def test_the_environment_variable_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, " depth_decode:reference , rms_norm:native,")
    assert resolve("depth_decode", "cpu").implementation.backend == "reference"
    assert resolve("rms_norm", "cpu").implementation.backend == "native"
    assert resolve("swiglu", "cpu").implementation.backend == "numba"
    assert resolve("depth_decode", "cpu", "numba").implementation.backend == "numba"
    monkeypatch.setenv(VARIABLE, "all:reference,swiglu:numba")
    lines = dict(line.split()[:2] for line in table("cpu").splitlines())
    assert lines.pop("swiglu") == "numba" and set(lines.values()) == {"reference"}
    monkeypatch.setenv(VARIABLE, "rms_norm:triton")
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(KernelError, match="no 'triton'"):
        resolve("rms_norm", "cpu")


@pytest.mark.parametrize(("text", "words"), [("nonsense", "is not op:backend"), ("fly:numba", "there is no op 'fly'")])
def test_a_bad_variable_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(KernelError, match=words):
        overrides(text)
