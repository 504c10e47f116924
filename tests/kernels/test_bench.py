"""The benchmark: every op has inputs that its reference takes; the command answers in a table, JSON or one sentence."""

from __future__ import annotations

import json

import pytest
import torch

from kernels.bench import main
from kernels.inputs import contract, make_inputs, ops
from kernels.registry import IMPLEMENTATIONS, resolve


def small(op: str) -> dict[str, int]:
    """Sizes of the op's first case, without its thousands of rows."""
    return {**contract(op).cases()[0].sizes, **({"batch": 1, "rows": 3} if op == "band_energies" else {})}


def test_every_op_can_be_measured() -> None:
    assert ops() == sorted({known.op for known in IMPLEMENTATIONS})


@pytest.mark.parametrize("op", ops())
def test_inputs_fit_the_reference_and_cost_is_positive(op: str) -> None:
    torch.manual_seed(0)
    function = resolve(op, "cpu", "reference").function
    case = contract(op).cases()[0]
    out = function(*make_inputs(op, small(op), torch.float32, "cpu"))
    for part in out if isinstance(out, tuple) else (out,):
        assert part.is_complex() or not part.is_floating_point() or part.isfinite().all()
    cost = contract(op).cost(**case.sizes)
    assert cost.flops > 0 and cost.bytes > 0


@pytest.mark.parametrize("op", ops())
def test_there_are_inputs_of_every_precision(op: str) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        assert make_inputs(op, small(op), dtype, "cpu")


def test_json_names_backends_and_floor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)  # the workers of the tests share the machine
    assert main(["--op", "swiglu", "--device", "cpu", "--seconds", "0.001", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["machine"]["bandwidth"] > 0 and report["machine"]["rate"] > 0
    assert {row["backend"] for row in report["rows"]} == {"numba", "reference (torch eager)"}
    assert all(row["warm_us"] > 0 and row["cold_us"] > 0 and row["floor_us"] > 0 for row in report["rows"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--op", "fly"], "there is no op 'fly'"), (["--threads", "0"], "--threads must be at least 1")],
)
def test_bad_input_is_one_sentence(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2 and words in capsys.readouterr().err
