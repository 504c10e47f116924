from collections.abc import Callable

import pytest
import torch

from streamsep.config import LOOKAHEADS, ModelConfig
from streamsep.lm import Decoding, LanguageModel, history, targets

Make = Callable[..., LanguageModel]
K = 17


def _inputs(batch: int, length: int, codebooks: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    c = torch.randn(batch, length, 12, generator=generator)
    guide = torch.randn(batch, length, 4, 240, generator=generator)
    return c, guide, torch.randint(K, (batch, length, 4, codebooks), generator=generator)


def _stems(present: torch.Tensor) -> torch.Tensor:
    return present.unsqueeze(-1).expand(-1, -1, 4)


@pytest.mark.parametrize("order", ["wavefront", "sequential", "parallel"])
@pytest.mark.parametrize("codebooks", [3, 5])
def test_steps_equal_the_sequence_at_every_lookahead(make_lm: Make, order: str, codebooks: int) -> None:
    lm = make_lm(order)
    c, guide, codes = _inputs(4, 15, codebooks)
    lookahead = torch.arange(4)
    emitted, _ = targets(codes, lookahead)
    past, present = history(emitted, lookahead)
    whole = lm(c, guide, past, _stems(present), lookahead, emitted)
    state = lm.init_state(4)
    decoding = Decoding(codebooks=codebooks)
    steps = [
        lm.step(c[:, t], guide[:, t], lookahead, state, decoding=decoding, forced=emitted[:, t]) for t in range(15)
    ]
    logits = torch.stack([step.logits for step in steps], 1).flatten(0, 1)
    torch.testing.assert_close(logits, whole.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.stack([step.h for step in steps], 1), whole.h, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("feedback", ["soft", "hard", "none"])
def test_free_running_equals_the_sequence_on_what_it_fed_back(make_lm: Make, feedback: str) -> None:
    lm = make_lm()
    c, guide, _ = _inputs(4, 12, 3)
    lookahead = torch.arange(4)
    state = lm.init_state(4)
    decoding = Decoding(feedback=feedback)
    steps = [lm.step(c[:, t], guide[:, t], lookahead, state, decoding=decoding) for t in range(12)]
    codes = torch.stack([step.codes for step in steps], 1)
    fed = codes if feedback == "hard" else torch.stack([step.latent for step in steps], 1)
    past, present = history(fed, lookahead)
    if feedback == "none":
        present = torch.zeros_like(present)
    whole = lm(c, guide, past, _stems(present), lookahead, codes)
    torch.testing.assert_close(
        torch.stack([s.logits for s in steps], 1).flatten(0, 1), whole.logits, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("index", range(4))
def test_a_step_depends_on_nothing_heard_or_emitted_later(make_lm: Make, index: int) -> None:
    lm = make_lm()
    k = LOOKAHEADS[index]
    c, guide, codes = _inputs(1, 12, 3)
    lookahead = torch.tensor([index])
    latent = lm.tables.latent(codes).requires_grad_()
    c.requires_grad_()
    guide.requires_grad_()
    emitted, _ = targets(codes, lookahead)
    past, present = history(targets(latent, lookahead)[0], lookahead)
    whole = lm(c, guide, past, _stems(present), lookahead, emitted)
    t = 6
    heard, hinted, remembered = torch.autograd.grad(whole.logits[t].square().sum(), (c, guide, latent))
    assert (heard[:, t + 1 :] == 0).all() and (heard[:, t] != 0).any()
    assert (hinted[:, t + 1 :] == 0).all() and (hinted[:, t] != 0).any()
    newest = t - 1 - k
    assert (remembered[:, newest + 1 :] == 0).all() and (remembered[:, newest] != 0).any()


def test_select_runs_depth_on_the_chosen_frames_only(make_lm: Make) -> None:
    lm = make_lm()
    c, guide, codes = _inputs(2, 9, 3)
    lookahead = torch.tensor([1, 2])
    past, present = history(codes, lookahead)
    select = torch.tensor([0, 5, 17])
    whole = lm(c, guide, past, _stems(present), lookahead, codes)
    some = lm(c, guide, past, _stems(present), lookahead, codes, select)
    torch.testing.assert_close(some.logits, whole.logits[select], atol=1e-5, rtol=1e-5)


def test_dropped_history_is_ignored_even_when_poisoned(make_lm: Make) -> None:
    lm = make_lm()
    c, guide, codes = _inputs(1, 6, 3)
    lookahead = torch.tensor([1])
    latent = lm.tables.latent(codes)
    present = torch.ones(1, 6, 4, dtype=torch.bool)
    present[..., 2] = False
    expected = lm(c, guide, latent, present, lookahead, codes).logits
    latent[:, :, 2] = torch.nan
    torch.testing.assert_close(lm(c, guide, latent, present, lookahead, codes).logits, expected, atol=0, rtol=0)
    assert not torch.equal(lm(c, guide, latent, present.clone().fill_(False), lookahead, codes).logits, expected)


def test_hard_codes_and_their_latents_are_the_same_history(make_lm: Make) -> None:
    lm = make_lm()
    c, guide, codes = _inputs(2, 7, 3)
    lookahead = torch.tensor([1, 1])
    present = torch.ones(2, 7, 4, dtype=torch.bool)
    hard = lm(c, guide, codes, present, lookahead, codes).logits
    soft = lm(c, guide, lm.tables.latent(codes), present, lookahead, codes).logits
    torch.testing.assert_close(hard, soft, atol=0, rtol=0)


def test_slots_are_isolated_and_inactive_ones_stand_still(make_lm: Make) -> None:
    lm = make_lm()
    c, guide, _ = _inputs(3, 10, 3)
    lookahead = torch.tensor([1, 2, 0])
    alone = lm.init_state(1)
    expected = [lm.step(c[1:2, t], guide[1:2, t], lookahead[1:2], alone) for t in range(10)]
    state = lm.init_state(3)
    c[0], guide[2] = torch.nan, torch.nan
    active = torch.tensor([True, True, False])
    for t in range(10):
        out = lm.step(c[:, t], guide[:, t], lookahead, state, active)
        assert torch.equal(out.codes[1:2], expected[t].codes)
        torch.testing.assert_close(out.latent[1:2], expected[t].latent, atol=1e-5, rtol=1e-5)
    assert all((x[2] == 0).all() for _, x in state.named_tensors())


def test_a_saved_slot_goes_on_elsewhere(make_lm: Make) -> None:
    lm = make_lm()
    c, guide, _ = _inputs(1, 14, 3)
    lookahead = torch.tensor([1])
    state = lm.init_state(1)
    outs = [lm.step(c[:, t], guide[:, t], lookahead, state) for t in range(8)]
    other = lm.init_state(2)
    other.load(1, state.save(0))
    for t in range(8, 14):
        outs.append(lm.step(c[:, t], guide[:, t], lookahead, state))
        moved = lm.step(c[:, t].expand(2, -1), guide[:, t].expand(2, -1, -1), lookahead.expand(2), other)
        torch.testing.assert_close(moved.logits[1], outs[-1].logits[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("order", ["wavefront", "sequential", "parallel"])
@pytest.mark.parametrize(
    "decoding", [Decoding(), Decoding(codebooks=5, temperature=0.8, within="soft")], ids=["greedy", "sampled"]
)
def test_compiled_kernels_emit_the_same_codes(make_lm: Make, order: str, decoding: Decoding) -> None:
    lm = make_lm(order)
    c, guide, _ = _inputs(2, 8, 3)
    lookahead, seed = torch.tensor([1, 3]), torch.tensor([5, 6])
    runs = []
    for backend in ("reference", "numba"):
        assert lm.select_kernels("cpu", backend) == tuple(
            f"{op}: {backend}"
            for op in ("temporal_entry", "temporal_step", "paged_step", "depth_entry", "depth_decode", "posterior_mean")
        )
        state = lm.init_state(2)
        runs.append([lm.step(c[:, t], guide[:, t], lookahead, state, decoding=decoding, seed=seed) for t in range(8)])
    for plain, fast in zip(*runs, strict=True):
        assert torch.equal(plain.codes, fast.codes)
        torch.testing.assert_close(fast.latent, plain.latent, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(fast.logits, plain.logits, atol=1e-5, rtol=1e-5)


def test_the_shipped_size_fits_its_budget() -> None:
    lm = LanguageModel(ModelConfig())
    assert sum(p.numel() for p in lm.parameters()) <= 3_600_000


def test_tables_of_another_shape_are_refused(make_lm: Make) -> None:
    lm = make_lm()
    with pytest.raises(ValueError, match="code tables"):
        lm.set_tables(torch.zeros(5, 17, 9))
    lm.set_tables(torch.full((5, 17, 8), 3.0))
    assert lm.tables.scale.tolist() == pytest.approx([1 / (3 * 3**0.5), 1 / (3 * 2**0.5)])


def test_training_in_bfloat16_gives_finite_gradients_everywhere(make_lm: Make) -> None:
    lm = make_lm()
    c, guide, codes = _inputs(2, 8, 5)
    lookahead = torch.tensor([0, 3])
    past, present = history(codes, lookahead)
    with torch.autocast("cpu", torch.bfloat16):
        out = lm(c, guide, past, _stems(present), lookahead, codes)
    torch.nn.functional.cross_entropy(out.logits.float().flatten(0, -2), codes.flatten()).backward()
    for name, parameter in lm.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
