"""What a step remembers: written in place, for the slots that advance, whatever its type."""

from __future__ import annotations

import pytest
import torch

from streamsep.streaming import State

TYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.complex64]


def _state(dtype: torch.dtype, *shape: int) -> State:
    state = State(5)
    state.add("x", *shape, dtype=dtype)
    return state


@pytest.mark.parametrize("shape", [(), (3,), (2, 7)])
@pytest.mark.parametrize("dtype", TYPES)
def test_active_slots_alone_are_written_and_nothing_moves(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    state, active = _state(dtype, *shape), torch.tensor([True, False, True, True, False])
    address = state["x"].data_ptr()
    state.put("x", torch.ones(5, *shape).to(dtype), active)
    assert state["x"].data_ptr() == address and state["x"].dtype == dtype
    assert torch.equal(state["x"].flatten(1).all(1) if shape else state["x"].bool(), active)
    state.put("x", torch.zeros(5, *shape).to(dtype))
    assert not state["x"].any() and state["x"].data_ptr() == address


def test_a_value_of_another_type_takes_the_type_of_the_state() -> None:
    state = _state(torch.float32, 2)
    state.put("x", torch.full((5, 2), 3, dtype=torch.int64), torch.ones(5, dtype=torch.bool))
    assert state["x"].dtype == torch.float32 and (state["x"] == 3).all()


def test_a_part_of_the_slots_writes_into_the_whole() -> None:
    state = _state(torch.float32, 2)
    state.narrow(1, 4).put("x", torch.ones(3, 2), torch.tensor([True, False, True]))
    assert state["x"][:, 0].tolist() == [0, 1, 0, 1, 0]


def test_poison_of_slots_that_rest_stays_outside() -> None:
    state, active = _state(torch.float32, 2), torch.tensor([True, False, False, True, True])
    value = torch.where(active.unsqueeze(1), 1.0, torch.nan).expand(5, 2)
    state.put("x", value, active)
    assert torch.equal(state["x"][:, 0], active.float())


def test_a_value_may_come_from_the_state_itself() -> None:
    state, active = _state(torch.int64), torch.tensor([True, False, True, False, True])
    state.put("x", state["x"] + 1, active)
    state.put("x", state["x"], active)
    assert torch.equal(state["x"], active.long())


def test_gradients_end_here() -> None:
    state = _state(torch.float32, 2)
    for active in (None, torch.ones(5, dtype=torch.bool)):
        state.put("x", torch.ones(5, 2, requires_grad=True), active)
        assert not state["x"].requires_grad


@pytest.mark.parametrize("value", [torch.ones(5, 2, 3), torch.ones(5, 4)])
def test_other_shapes_are_refused_and_change_nothing(value: torch.Tensor) -> None:
    state = _state(torch.float32, 2)
    with pytest.raises(RuntimeError):
        state.put("x", value, torch.ones(5, dtype=torch.bool))
    assert state["x"].shape == (5, 2) and not state["x"].any()


def test_a_value_that_overlaps_the_state_is_refused() -> None:
    state = _state(torch.float32, 2)
    shifted = state["x"].as_strided((4, 2), (2, 1), 2)
    with pytest.raises(RuntimeError, match="single memory location"):
        state.narrow(0, 4).put("x", shifted, torch.ones(4, dtype=torch.bool))
