"""The compiled chain of a frame's codes against its reference: at most twice the error of plain torch."""

from __future__ import annotations

import pytest
import torch

from kernels.numba.depth_decode import depth_decode as fast
from kernels.reference import Choice, DepthHeads, DepthPlan, DepthWeights, LayerWeights, depth_decode

D, HEADS, M, K, C, LAYERS = 48, 4, 80, 37, 10, 2
FULL, TIED = 3, 2
ROWS = 2  # places a codebook
STEPS = ((0,), (0, 1), (1, 2), (2, 3), (3, 4), (4,))


def _weights() -> DepthWeights:
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5

    layers = tuple(
        LayerWeights(1 + rand(D), rand(3 * D, D), rand(D, D), 1 + rand(D), rand(2 * M, D), rand(D, M))
        for _ in range(LAYERS)
    )
    heads = DepthHeads(
        1 + rand(D), rand(FULL, K, D), rand(TIED, C, D), rand(TIED, K, C), torch.tensor([1.7]), rand(FULL + TIED, K)
    )
    return DepthWeights(rand(FULL + TIED, D, 2 * C), layers, heads)


def _double(weights: DepthWeights) -> DepthWeights:
    layers = tuple(LayerWeights(*(w.double() for w in layer)) for layer in weights.layers)
    return DepthWeights(weights.feed.double(), layers, DepthHeads(*(w.double() for w in weights.heads)))


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


def _inputs(frames: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(frames)
    vectors = torch.randn(FULL + TIED, K, C, generator=generator)
    known = torch.randn(frames, ROWS * (FULL + TIED), D, generator=generator)
    forced = torch.randint(K, known.shape[:2], generator=generator)
    return vectors, torch.tensor([0.6, 1.1]), known, forced, torch.arange(frames) + 5, torch.arange(frames) * 7


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("soft", [False, True])
def test_error_is_at_most_twice_that_of_torch(frames: int, soft: bool) -> None:
    weights, plan = _weights(), _plan()
    vectors, scale, known, forced, *_ = _inputs(frames)
    choice = Choice(soft=soft)
    wide = plan._replace(bias=plan.bias.double())
    exact = depth_decode(
        _double(weights), HEADS, vectors.double(), scale.double(), wide, known.double(), choice, forced=forced
    )
    plain = depth_decode(weights, HEADS, vectors, scale, plan, known, choice, forced=forced)
    ours = fast(weights, HEADS, vectors, scale, plan, known, choice, forced=forced)
    assert torch.equal(ours.codes, forced) and torch.equal(plain.codes, forced)
    assert ours.logits.shape == exact.logits.shape and exact.logits.std() > 0.3
    floor = torch.finfo(torch.float32).eps * exact.logits.abs().max()
    assert (ours.logits - exact.logits).abs().max() <= 2 * (plain.logits - exact.logits).abs().max() + floor


@pytest.mark.parametrize("choice", [Choice(), Choice(0.9, 8), Choice(1.0, 0, True)])
def test_codes_are_those_of_the_reference(choice: Choice) -> None:
    weights, plan = _weights(), _plan()
    vectors, scale, known, _, seed, frame = _inputs(4)
    expected = depth_decode(weights, HEADS, vectors, scale, plan, known, choice, seed, frame)
    ours = fast(weights, HEADS, vectors, scale, plan, known, choice, seed, frame)
    assert torch.equal(ours.codes, expected.codes) and expected.codes.unique().numel() > 5
    torch.testing.assert_close(ours.logits, expected.logits, atol=2e-5, rtol=2e-5)
    alone = fast(weights, HEADS, vectors, scale, plan, known[2:3], choice, seed[2:3], frame[2:3])
    assert torch.equal(alone.codes, expected.codes[2:3])


@pytest.mark.parametrize("op", [fast, depth_decode])
def test_steps_of_one_codebook(op) -> None:  # noqa: ANN001
    weights, plan = _weights(), _plan(((0, 0), (1, 1), (2, 2), (3, 3)))
    vectors, scale, known, *_ = _inputs(2)
    known = known[:, :8]
    plan = plan._replace(place=plan.rank.argsort(), rank=plan.rank)
    out = op(
        weights, HEADS, vectors, scale, plan._replace(place=torch.arange(8), rank=torch.arange(8)), known, Choice()
    )
    assert out.logits.isfinite().all() and torch.equal(out.codes, out.logits.argmax(-1))


def test_a_poisoned_frame_stays_alone_and_inputs_are_left_as_they_were() -> None:
    weights, plan = _weights(), _plan()
    vectors, scale, known, *_ = _inputs(3)
    expected = fast(weights, HEADS, vectors, scale, plan, known, Choice())
    known[1] = torch.nan
    before = known.clone()
    poisoned = fast(weights, HEADS, vectors, scale, plan, known, Choice())
    assert poisoned.logits[1].isnan().all() and torch.equal(known.nan_to_num(), before.nan_to_num())
    assert torch.equal(poisoned.codes[[0, 2]], expected.codes[[0, 2]])
    torch.testing.assert_close(poisoned.logits[[0, 2]], expected.logits[[0, 2]], atol=1e-6, rtol=1e-6)


def test_other_precisions_and_a_missing_seed_are_refused() -> None:
    weights, plan = _weights(), _plan()
    vectors, scale, known, *_ = _inputs(1)
    with pytest.raises(TypeError, match="float32"):
        fast(weights, HEADS, vectors, scale, plan, known.double(), Choice())
    with pytest.raises(ValueError, match="seed"):
        fast(weights, HEADS, vectors, scale, plan, known, Choice(1.0))
