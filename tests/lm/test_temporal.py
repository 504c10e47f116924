from collections.abc import Callable

import pytest
import torch

from streamsep.lm import LanguageModel
from streamsep.lm.temporal import TemporalTransformer


@pytest.fixture
def temporal(make_lm: Callable[..., LanguageModel]) -> TemporalTransformer:
    return make_lm().temporal


def _inputs(batch: int, length: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    c = torch.randn(batch, length, 12, generator=generator)
    return c, torch.randn(batch, length, 32, generator=generator), torch.arange(batch) % 4


def test_steps_equal_the_sequence_far_beyond_the_window(temporal: TemporalTransformer) -> None:
    c, history, lookahead = _inputs(3, 25)  # the ring of 6 wraps four times
    whole = temporal(c, history, lookahead)
    state = temporal.init_state(3)
    steps = [temporal.step(c[:, t], history[:, t], lookahead, state) for t in range(25)]
    torch.testing.assert_close(torch.stack(steps, 1), whole, atol=1e-5, rtol=1e-5)


def test_memory_is_constant(temporal: TemporalTransformer) -> None:
    c, history, lookahead = _inputs(1, 20)
    state = temporal.init_state(1)
    before = {name: (x.data_ptr(), x.shape) for name, x in state.named_tensors()}
    for t in range(20):
        temporal.step(c[:, t], history[:, t], lookahead, state)
    assert before == {name: (x.data_ptr(), x.shape) for name, x in state.named_tensors()}


@pytest.mark.parametrize("start", [2**24 + 1, 2**32 - 3, 2**40])
def test_a_stream_of_years_computes_as_its_first_second(temporal: TemporalTransformer, start: int) -> None:
    c, history, lookahead = _inputs(2, 12)
    whole = temporal(c, history, lookahead)
    later = temporal(c, history, lookahead, start=torch.full((2,), start))
    torch.testing.assert_close(later, whole, atol=1e-5, rtol=1e-4)


def test_no_step_depends_on_the_future(temporal: TemporalTransformer) -> None:
    c, history, lookahead = _inputs(1, 16)
    c.requires_grad_()
    history.requires_grad_()
    for t in (0, 7, 15):
        grads = torch.autograd.grad(temporal(c, history, lookahead)[:, t].square().sum(), (c, history))
        for grad in grads:
            assert (grad[:, t + 1 :] == 0).all()
            assert (grad[:, t] != 0).any()
    reach = 2 * (6 - 1)  # layers · (window - 1)
    (grad,) = torch.autograd.grad(temporal(c, history, lookahead)[:, 15].square().sum(), c)
    assert (grad[:, : 15 - reach] == 0).all() and (grad[:, 15 - reach] != 0).any()


def test_slots_do_not_touch_each_other(temporal: TemporalTransformer) -> None:
    c, history, lookahead = _inputs(3, 10)
    alone = temporal.init_state(1)
    expected = [temporal.step(c[1:2, t], history[1:2, t], lookahead[1:2], alone) for t in range(10)]
    state = temporal.init_state(3)
    c[0], c[2] = torch.nan, torch.nan
    active = torch.tensor([True, True, False])
    for t in range(10):
        h = temporal.step(c[:, t], history[:, t], lookahead, state, active)
        torch.testing.assert_close(h[1:2], expected[t], atol=1e-5, rtol=1e-5)
    assert state["position"].tolist() == [10, 10, 0]
    assert all(x[2].isfinite().all() and (x[2] == 0).all() for _, x in state.named_tensors())
    state.reset(torch.tensor([True, False, False]))
    assert all(x[0].isfinite().all() for _, x in state.named_tensors())


def test_a_reset_slot_starts_anew_whatever_its_rows_hold(temporal: TemporalTransformer) -> None:
    c, history, lookahead = _inputs(1, 8)
    state = temporal.init_state(1)
    first = [temporal.step(c[:, t], history[:, t], lookahead, state) for t in range(8)]
    for name, tensor in state.named_tensors():
        tensor.fill_(0 if name == "position" else torch.nan)
    again = [temporal.step(c[:, t], history[:, t], lookahead, state) for t in range(8)]
    torch.testing.assert_close(torch.stack(again), torch.stack(first), atol=0, rtol=0)
