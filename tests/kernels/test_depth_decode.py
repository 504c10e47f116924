"""The chain of a frame's codes on every backend against its reference: at most twice the error of plain torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.reference import Choice, DepthHeads, DepthPlan, DepthWeights, LayerWeights, depth_decode
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

D, HEADS, M, K, C, LAYERS = 48, 4, 80, 37, 19, 2
FULL, TIED = 3, 2
ROWS = 2  # places a codebook
STEPS = ((0,), (0, 1), (1, 2), (2, 3), (3, 4), (4,))


def _weights() -> DepthWeights:
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5

    layers = tuple(
        LayerWeights(1 + rand(D), rand(3 * D, D), rand(D, D), 1 + rand(D), rand(2 * M, D), rand(D, M))
        for _ in range(LAYERS)
    )
    heads = DepthHeads(
        1 + rand(D), rand(FULL, K, D), rand(TIED, C, D), rand(TIED, K, C), torch.tensor([1.7]), rand(FULL + TIED, K)
    )
    return DepthWeights(rand(FULL + TIED, D, 2 * C), layers, heads)


def _to(weights: DepthWeights, dtype: torch.dtype, backend: str = "reference") -> DepthWeights:
    layers = tuple(LayerWeights(*to(layer, dtype, backend)) for layer in weights.layers)
    return DepthWeights(*to([weights.feed], dtype, backend), layers, DepthHeads(*to(weights.heads, dtype, backend)))


def _run(op: Any, dtype: torch.dtype, backend: str, plan: DepthPlan, choice: Choice, inputs: list[Any]) -> Any:
    """``inputs``: vectors, scale, known, seed, frame, forced. Codes and logits are given on the CPU."""
    vectors, scale, known, *rest = to(inputs, dtype, backend)
    own = DepthPlan(*to(plan, dtype, backend))
    out = op(_to(_weights(), dtype, backend), HEADS, vectors, scale, own, known, choice, *rest)
    return out._replace(codes=out.codes.cpu(), logits=out.logits.cpu())


def _plan(books: tuple[tuple[int, ...], ...] = STEPS) -> DepthPlan:
    """Two rows of codebooks, one a step behind the other; a place sees all emitted with it or before, but one."""
    flat = [book for step in books for book in step]
    step_of = torch.tensor([j for j, step in enumerate(books) for _ in step])
    seen: dict[int, int] = {}
    places = []
    for book in flat:  # the first time a book comes it is row 0's
        places.append(seen.setdefault(book, -1) + 1)
        seen[book] += 1
    row, book = torch.tensor(places), torch.tensor(flat)
    place = row * (FULL + TIED) + book
    bias = torch.zeros(len(flat), len(flat)).masked_fill(step_of.unsqueeze(1) < step_of, -torch.inf)
    bias[3:, 0] = -torch.inf
    late = (book >= FULL).long()
    fed = torch.stack((late * 3 + row + 1, late * 3 + row), 1)
    return DepthPlan(books, place, place.argsort(), book, fed, late * 3 + row + 1, late, row * 4096 + book, bias, 6)


def _inputs(frames: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(frames)
    vectors = torch.randn(FULL + TIED, K, C, generator=generator)
    known = torch.randn(frames, ROWS * (FULL + TIED), D, generator=generator)
    forced = torch.randint(K, known.shape[:2], generator=generator)
    return vectors, torch.tensor([0.6, 1.1]), known, forced, torch.arange(frames) + 5, torch.arange(frames) * 7


@pytest.mark.parametrize("frames", [1, 2, 5, 17])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("backend", "dtype"), backends("depth_decode"))
def test_error_is_at_most_twice_that_of_torch(backend: str, dtype: torch.dtype, soft: bool, frames: int) -> None:
    if backend == "triton" and (frames == 5 or (frames == 17 and (soft or dtype == torch.float16))):
        pytest.skip("the interpreter takes its time")
    vectors, scale, known, forced, *_ = _inputs(frames)
    inputs, plan, choice = to([vectors, scale, known, None, None, forced], dtype), _plan(), Choice(soft=soft)
    exact = _run(depth_decode, torch.float64, "reference", plan, choice, inputs)
    plain = _run(depth_decode, dtype, "reference", plan, choice, inputs)
    ours = _run(load("depth_decode", backend), dtype, backend, plan, choice, inputs)
    assert torch.equal(ours.codes, forced) and exact.logits.std() > 0.3
    assert_close_as_torch(ours.logits, plain.logits, exact.logits)


@pytest.mark.parametrize("backend", names("depth_decode"))
def test_more_places_than_processors(backend: str) -> None:
    """Of 70 places in a step, where a kernel need not share out what belongs to one."""
    plan = _plan(((0, 0), (1,)))
    plan = plan._replace(place=torch.arange(3), rank=torch.arange(3), bias=torch.zeros(3, 3))
    vectors, scale, known, *_ = _inputs(35)
    inputs, choice = [vectors, scale, known[:, :3].contiguous(), None, None, None], Choice(soft=True)
    expected = _run(depth_decode, torch.float32, "reference", plan, choice, inputs)
    ours = _run(load("depth_decode", backend), torch.float32, backend, plan, choice, inputs)
    torch.testing.assert_close(ours.logits, expected.logits, atol=2e-5, rtol=2e-5)
    assert torch.equal(ours.codes, expected.codes)


@pytest.mark.parametrize("choice", [Choice(), Choice(0.9, 8), Choice(1.0, 0, True)])
@pytest.mark.parametrize("backend", names("depth_decode"))
def test_codes_are_those_of_the_reference(backend: str, choice: Choice) -> None:
    plan, op = _plan(), load("depth_decode", backend)
    vectors, scale, known, _, seed, frame = _inputs(3)
    inputs = [vectors, scale, known, seed, frame, None]
    expected = _run(depth_decode, torch.float32, "reference", plan, choice, inputs)
    ours = _run(op, torch.float32, backend, plan, choice, inputs)
    assert torch.equal(ours.codes, expected.codes) and expected.codes.unique().numel() > 5
    torch.testing.assert_close(ours.logits, expected.logits, atol=2e-5, rtol=2e-5)
    one = [vectors, scale, known[2:], seed[2:], frame[2:], None]
    assert torch.equal(_run(op, torch.float32, backend, plan, choice, one).codes, expected.codes[2:])


@pytest.mark.parametrize("books", [((0, 0), (1, 1), (2, 2), (3, 3)), ((0,),), ((0, 1, 2, 3, 4),), ((4,), (3,))])
@pytest.mark.parametrize("backend", names("depth_decode"))
def test_other_orders_of_steps(backend: str, books: tuple[tuple[int, ...], ...]) -> None:
    """Two places of a codebook, one place, all at once."""
    plan, count = _plan(books), sum(len(step) for step in books)
    plan = plan._replace(place=torch.arange(count).flip(0), rank=torch.arange(count).flip(0))
    plan = plan._replace(bias=plan.bias.nan_to_num(neginf=0) + torch.zeros(count, count))
    vectors, scale, known, *_ = _inputs(2)
    inputs = [vectors, scale, known[:, :count].contiguous(), None, None, None]
    expected = _run(depth_decode, torch.float32, "reference", plan, Choice(), inputs)
    ours = _run(load("depth_decode", backend), torch.float32, backend, plan, Choice(), inputs)
    torch.testing.assert_close(ours.logits, expected.logits, atol=2e-5, rtol=2e-5)
    assert torch.equal(ours.codes, expected.codes) and torch.equal(ours.codes, ours.logits.argmax(-1))


@pytest.mark.parametrize("backend", names("depth_decode"))
def test_a_poisoned_frame_stays_alone_and_inputs_are_left_as_they_were(backend: str) -> None:
    op, weights = load("depth_decode", backend), _to(_weights(), torch.float32, backend)
    plan = DepthPlan(*to(_plan(), torch.float32, backend))
    vectors, scale, known, *_ = to(_inputs(3), torch.float32, backend)
    expected = op(weights, HEADS, vectors, scale, plan, known, Choice(soft=True))
    known[1] = torch.nan
    before = known.clone()
    poisoned = op(weights, HEADS, vectors, scale, plan, known, Choice(soft=True))
    assert poisoned.logits[1].isnan().all() and torch.equal(known.nan_to_num(), before.nan_to_num())
    assert torch.equal(poisoned.codes[[0, 2]], expected.codes[[0, 2]])
    torch.testing.assert_close(poisoned.logits[[0, 2]], expected.logits[[0, 2]], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("backend", names("depth_decode"))
def test_other_precisions_and_a_missing_seed_are_refused(backend: str) -> None:
    op, weights = load("depth_decode", backend), _to(_weights(), torch.float32, backend)
    plan = DepthPlan(*to(_plan(), torch.float32, backend))
    vectors, scale, known, *_ = to(_inputs(1), torch.float32, backend)
    with pytest.raises(TypeError, match="float32"):
        op(weights, HEADS, vectors, scale, plan, known.double(), Choice())
    with pytest.raises(ValueError, match="seed"):
        op(weights, HEADS, vectors, scale, plan, known, Choice(1.0))
