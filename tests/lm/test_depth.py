from collections.abc import Callable

import pytest
import torch

from streamsep.lm import Decoding, LanguageModel, generate
from streamsep.lm.order import ORDERS

SEMANTIC, ALL, K = 3, 5, 17
Make = Callable[..., LanguageModel]


def _frame(count: int, codebooks: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    h = torch.randn(count, 32, generator=generator)
    guide = torch.randn(count, 4, 240, generator=generator)
    return h, guide, torch.randint(K, (count, 4, codebooks), generator=generator)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("codebooks", [SEMANTIC, ALL])
def test_forced_generation_equals_teacher_forcing(make_lm: Make, order: str, codebooks: int) -> None:
    depth = make_lm(order).depth
    h, guide, codes = _frame(6, codebooks)
    frame = generate(depth, h, guide, Decoding(codebooks=codebooks), forced=codes)
    torch.testing.assert_close(frame.logits, depth(h, guide, codes), atol=1e-5, rtol=1e-5)
    assert torch.equal(frame.codes, codes)


@pytest.mark.parametrize("order", ORDERS)
def test_free_generation_is_consistent_with_teacher_forcing_on_its_own_codes(make_lm: Make, order: str) -> None:
    depth = make_lm(order).depth
    h, guide, _ = _frame(6, ALL)
    frame = generate(depth, h, guide, Decoding(codebooks=ALL))
    assert torch.equal(depth(h, guide, frame.codes).argmax(-1), frame.codes)


@pytest.mark.parametrize("order", ORDERS)
def test_semantic_codes_are_the_same_with_and_without_acoustic_ones(make_lm: Make, order: str) -> None:
    depth = make_lm(order).depth
    h, guide, _ = _frame(6, ALL)
    few, all_ = generate(depth, h, guide), generate(depth, h, guide, Decoding(codebooks=ALL))
    assert few.codes.shape == (6, 4, SEMANTIC) and all_.codes.shape == (6, 4, ALL)
    assert torch.equal(few.codes, all_.codes[..., :SEMANTIC])
    torch.testing.assert_close(few.latent, all_.latent, atol=1e-5, rtol=1e-5)


def _sees(order: str, s: int, q: int, other: int, book: int) -> bool:
    """Whether the logits of stem s, codebook q may depend on the code of stem ``other``, codebook ``book``."""
    if q < SEMANTIC <= book:
        return False
    if order == "parallel":
        return other == s and book < q
    if order == "wavefront":
        return other + book < s + q
    path, other_path = q >= SEMANTIC, book >= SEMANTIC
    return (other_path, other, book) < (path, s, q)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("codebooks", [SEMANTIC, ALL])
def test_order_by_gradient(make_lm: Make, order: str, codebooks: int) -> None:
    lm = make_lm(order)
    h, guide, codes = _frame(1, codebooks)
    vectors = lm.tables.lookup(codes).requires_grad_()
    logits = lm.depth(h, guide, vectors)
    for s in range(4):
        for q in range(codebooks):
            (grad,) = torch.autograd.grad(logits[0, s, q].square().sum(), vectors, retain_graph=True)
            seen = grad[0].abs().sum(-1) > 0
            for other in range(4):
                for book in range(codebooks):
                    allowed = _sees(order, s, q, other, book)
                    if not allowed:
                        assert not seen[other, book], f"{order}: ({s}, {q}) must not see ({other}, {book})"
                    elif other == s or (order != "parallel" and other == s - 1 and (book < SEMANTIC) == (q < SEMANTIC)):
                        assert seen[other, book], f"{order}: ({s}, {q}) must see ({other}, {book})"


def test_first_stem_never_depends_on_a_later_stem_at_the_same_or_a_later_step(make_lm: Make) -> None:
    lm = make_lm("wavefront")
    h, guide, codes = _frame(1, SEMANTIC)
    vectors = lm.tables.lookup(codes).requires_grad_()
    logits = lm.depth(h, guide, vectors)
    (grad,) = torch.autograd.grad(logits[0, 0, 1].square().sum(), vectors)
    assert (grad[0, 1:] == 0).all()
    assert (grad[0, 0, 0] != 0).any() and (grad[0, 0, 1:] == 0).all()


def test_what_a_fused_optimizer_changed_is_used(make_lm: Make) -> None:
    depth = make_lm("wavefront").depth.train().requires_grad_(True)
    h, guide, codes = _frame(3, ALL)
    generate(depth, h, guide)
    optimizer = torch.optim.AdamW(depth.parameters(), 0.05, fused=True)
    depth(h, guide, codes).square().sum().backward()
    optimizer.step()
    for _ in range(2):
        frame = generate(depth, h, guide)
        torch.testing.assert_close(depth(h, guide, frame.codes), frame.logits, atol=1e-4, rtol=1e-4)
        depth.eval()


@pytest.mark.parametrize("order", ORDERS)
def test_frames_do_not_touch_each_other(make_lm: Make, order: str) -> None:
    depth = make_lm(order).depth
    h, guide, _ = _frame(3, ALL)
    expected = generate(depth, h[1:2], guide[1:2])
    h[0], guide[2] = torch.nan, torch.nan
    frame = generate(depth, h, guide)
    assert torch.equal(frame.codes[1:2], expected.codes)
    torch.testing.assert_close(frame.logits[1:2], expected.logits, atol=1e-5, rtol=1e-5)


def test_latent_and_entropy_are_those_of_the_semantic_posterior(make_lm: Make) -> None:
    lm = make_lm()
    h, guide, _ = _frame(5, ALL)
    frame = generate(lm.depth, h, guide, Decoding(codebooks=ALL))
    p = frame.logits[:, :, :SEMANTIC].softmax(-1)
    expected = torch.einsum("nsqk,qkc->nsc", p, lm.tables.vectors[:SEMANTIC])
    torch.testing.assert_close(frame.latent, expected)
    torch.testing.assert_close(frame.entropy, -(p * p.log()).sum(-1).mean(-1))


def test_soft_within_feeds_on_posterior_means(make_lm: Make) -> None:
    lm = make_lm()
    h, guide, _ = _frame(4, SEMANTIC)
    frame = generate(lm.depth, h, guide, Decoding(within="soft"))
    means = torch.einsum("nsqk,qkc->nsqc", frame.logits.softmax(-1), lm.tables.vectors[:SEMANTIC])
    torch.testing.assert_close(lm.depth(h, guide, means), frame.logits, atol=1e-5, rtol=1e-5)


def test_guide_of_a_stem_reaches_its_logits(make_lm: Make) -> None:
    depth = make_lm("parallel").depth
    h, guide, codes = _frame(1, SEMANTIC)
    guide.requires_grad_()
    (grad,) = torch.autograd.grad(depth(h, guide, codes)[0, 2].square().sum(), guide)
    assert (grad[0, 2] != 0).any() and (grad[0, [0, 1, 3]] == 0).all()
    assert depth(h, None, codes).isfinite().all()


def _loss_after_training(lm: LanguageModel, steps: int) -> torch.Tensor:
    """Cross-entropy a stem when all stems always play the same code, which nothing but a neighbour gives away."""
    optimizer = torch.optim.Adam(lm.depth.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(0)
    loss = torch.zeros(4)
    for _ in range(steps):
        codes = torch.randint(K, (256, 1, SEMANTIC), generator=generator).expand(-1, 4, -1)
        logits = lm.depth(torch.zeros(256, 32), None, codes)
        loss = torch.nn.functional.cross_entropy(logits.permute(0, 3, 1, 2), codes, reduction="none").mean((0, 2))
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    return loss.detach()


def test_later_stems_learn_from_earlier_ones_in_wavefront_order_and_cannot_in_parallel(make_lm: Make) -> None:
    chance = torch.tensor(float(K)).log()
    wavefront = _loss_after_training(make_lm("wavefront"), 120)
    parallel = _loss_after_training(make_lm("parallel"), 40)
    assert wavefront[0] > 0.9 * chance
    assert (wavefront[1:] < 0.3 * chance).all()
    assert (parallel > 0.9 * chance).all()
