"""Parked streams that are damaged: refused in a sentence, before they are among others whose step they would break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from streamsep.config import FRAME
from streamsep.engine.batch import Batch
from streamsep.engine.parked import Facts, Parked
from streamsep.engine.separator import Separator
from streamsep.errors import ParkedError

BLOCK = 0.1 * np.random.default_rng(0).standard_normal((2, FRAME)).astype(np.float32)


def damaged(parked: Parked) -> Iterator[Parked]:
    """The same stream, each time with something that no stream has."""
    for wrong in ({"frames": "3"}, {"frames": -5}, {"frames": 2.0}, {"frames": 2**62}, {"lookahead": 0.0}):
        yield Parked(replace(parked.facts, **wrong), parked.tensors)
    for name, tensor in parked.tensors.items():
        if tensor.dtype == torch.int64:
            for count in (-1, 2**62, 2**63 - 1):
                yield Parked(parked.facts, parked.tensors | {name: torch.full_like(tensor, count)})
    heard = torch.zeros(2, 2, 480)
    for wrong in (torch.tensor(0.0), heard.double(), heard.to(torch.complex64), heard[:, :1]):
        yield Parked(parked.facts, parked.tensors | {"heard": wrong})


@pytest.mark.parametrize("lookahead", [0, -1])
def test_what_is_damaged_never_comes_in(separator: Separator, lookahead: int) -> None:
    batch = Batch(separator.net, 2)
    other, slot = batch.open(0), batch.open(lookahead)
    batch.tick({other: BLOCK, slot: BLOCK[:, : batch.unit(slot)]})
    parked = batch.save(slot)
    batch.close(slot)
    count = 0
    for wrong in damaged(parked):
        with pytest.raises(ParkedError, match="damaged"):
            batch.load(wrong)
        assert batch.taken == 1
        count += 1
    assert count == 15
    assert batch.load(parked) == slot


@pytest.mark.parametrize("facts", [5, None, [1], "x", [name for name in Facts.__dataclass_fields__]])
def test_a_file_whose_facts_are_none_is_no_parked_stream(tmp_path: Path, facts: object) -> None:
    path = tmp_path / "parked.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"streamsep_parked": json.dumps(facts)})
    with pytest.raises(ParkedError):
        Parked.from_file(path)
