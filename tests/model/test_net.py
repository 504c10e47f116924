"""The whole net: steps equal the sequence, no output hears the future, slots are alone, masks are shares."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from streamsep.choices import DECODES
from streamsep.condition.guide import log_masks
from streamsep.config import BINS, ENVELOPES, LOOKAHEADS, STEMS
from streamsep.lm import Decoding, history, targets
from streamsep.model.net import Net, NetOutput, delay
from streamsep.model.trunk import frame_power
from tests.model.small import small_net

FRAMES = 11


@pytest.fixture
def net() -> Net:
    return small_net()


def spectra(batch: int, frames: int = FRAMES, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.view_as_complex(torch.randn(batch, frames, 2, 2, BINS, 2, generator=generator))


def run(net: Net, x: Tensor, lookahead: Tensor, **options) -> list[NetOutput]:
    state = net.init_state(x.shape[0])
    return [net.step(x[:, t], lookahead, state, decodes=DECODES, **options) for t in range(x.shape[1])]


def test_steps_equal_the_sequence_at_every_lookahead(net: Net) -> None:
    x, lookahead = spectra(4), torch.arange(4)
    codes = torch.randint(17, (4, FRAMES, 4, 3), generator=torch.Generator().manual_seed(1))
    emitted, _ = targets(codes, lookahead)
    past, present = history(emitted, lookahead)
    whole = net(x, lookahead, past, present.unsqueeze(-1).expand(-1, -1, 4), emitted)
    state = net.init_state(4)
    logits = whole.lm.logits.unflatten(0, (4, FRAMES))
    latent, entropy = net.posterior(logits)
    envelopes = net.codec.semantic.decode(latent)
    fused = net.fuse(whole.trunk.logits, envelopes, entropy).exp()
    guide = log_masks(whole.trunk.logits).exp()
    for t in range(FRAMES):
        step = net.step(x[:, t], lookahead, state, decodes=DECODES, forced=emitted[:, t])
        assert step.lm is not None
        torch.testing.assert_close(step.lm.logits, logits[:, t], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(step.lm.latent, latent[:, t], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(step.lm.entropy, entropy[:, t], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(step.masks["guide"], guide[:, t], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(step.masks["fused"], fused[:, t], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(step.spectrum, whole.spectrum[:, t])
        torch.testing.assert_close(step.level, whole.level[:, t])


def test_a_step_emits_the_frame_that_the_lookahead_says(net: Net) -> None:
    x, lookahead = spectra(4), torch.arange(4)
    steps = run(net, x, lookahead)
    level = net.trunk.level(frame_power(x))
    for row, k in enumerate(LOOKAHEADS):
        for t in range(FRAMES):
            emitted = t - max(k, 0)
            if emitted >= 0:
                torch.testing.assert_close(steps[t].spectrum[row], x[row, emitted])
                torch.testing.assert_close(steps[t].level[row], level[row, emitted])
            else:
                assert (steps[t].spectrum[row] == 0).all()


@pytest.mark.parametrize("row", range(len(LOOKAHEADS)))
def test_no_output_hears_a_later_frame(net: Net, row: int) -> None:
    x = torch.view_as_real(spectra(1)).requires_grad_()
    lookahead = torch.tensor([row])
    codes = torch.randint(17, (1, FRAMES, 4, 3))
    past, present = history(codes, lookahead)
    whole = net(torch.view_as_complex(x), lookahead, past, present.unsqueeze(-1).expand(-1, -1, 4), codes)
    t = 6
    latent, entropy = net.posterior(whole.lm.logits[t])
    masks = net.fuse(whole.trunk.logits[0, t], net.codec.semantic.decode(latent), entropy)
    for out in (masks, whole.lm.logits[t], whole.spectrum[0, t].abs()):
        (gradient,) = torch.autograd.grad(out.square().sum(), x, retain_graph=True)
        assert (gradient[:, t + 1 :] == 0).all()
        assert (gradient[:, t - max(LOOKAHEADS[row], 0)] != 0).any()
    assert (torch.autograd.grad(masks.square().sum(), x)[0][:, t] != 0).any()  # the newest frame counts at every k


def test_free_running_hears_no_later_frame_either(net: Net) -> None:
    x, lookahead = spectra(4), torch.arange(4)
    other = x.clone()
    other[:, 7:] = spectra(4, FRAMES - 7, seed=9)
    for a, b in list(zip(run(net, x, lookahead), run(net, other, lookahead), strict=True))[:7]:
        assert a.lm is not None and b.lm is not None
        assert torch.equal(a.lm.codes, b.lm.codes)
        assert all(torch.equal(a.masks[name], b.masks[name]) for name in DECODES)


def test_kernels_give_what_plain_torch_gives(net: Net) -> None:
    x, lookahead = spectra(4), torch.arange(4)
    plain, names = run(net, x, lookahead), net.select_kernels("cpu", "numba")
    assert {"recall: numba", "guide_envelopes: numba", "fuse_masks: numba"} <= set(names)
    for a, b in zip(plain, run(net, x, lookahead), strict=True):
        assert torch.equal(a.spectrum, b.spectrum)
        torch.testing.assert_close(a.level, b.level)
        for name in DECODES:
            torch.testing.assert_close(a.masks[name], b.masks[name], atol=1e-5, rtol=1e-4)


def test_masks_are_shares(net: Net) -> None:
    for step in run(net, spectra(2), torch.tensor([1, 0])):
        assert tuple(step.masks) == DECODES
        for masks in step.masks.values():
            assert masks.shape == (2, len(STEMS), 2, 2, ENVELOPES) and (masks >= 0).all()
            torch.testing.assert_close(masks.sum(1), torch.ones(2, 2, 2, ENVELOPES), atol=1e-5, rtol=0)


def test_slots_are_alone_and_inactive_ones_stand_still(net: Net) -> None:
    x, lookahead = spectra(3), torch.tensor([3, 2, 0])
    expected = run(net, x[1:2], lookahead[1:2])
    fresh = dict(net.init_state(3).named_tensors())
    x[0] = torch.nan
    x[2] = torch.inf
    state, active = net.init_state(3), torch.tensor([True, True, False])
    for t in range(FRAMES):
        step = net.step(x[:, t], lookahead, state, active, decodes=DECODES)
        assert step.lm is not None
        assert torch.equal(step.lm.codes[1:2], expected[t].lm.codes)  # pyright: ignore[reportOptionalMemberAccess]
        for name in DECODES:
            torch.testing.assert_close(step.masks[name][1:2], expected[t].masks[name], atol=1e-5, rtol=1e-5)
    for name, tensor in state.named_tensors():
        assert torch.equal(tensor[2], fresh[name][2]), name
    state.reset(torch.tensor([True, False, False]))
    clean = spectra(3, seed=3)
    again, want = net.init_state(1), []
    for t in range(3):
        want.append(net.step(clean[:1, t], lookahead[:1], again, decodes=DECODES))
        got = net.step(clean[:, t], lookahead, state, decodes=DECODES)
        torch.testing.assert_close(got.masks["fused"][:1], want[t].masks["fused"], atol=1e-5, rtol=1e-5)


def test_guide_alone_leaves_the_language_model_out(net: Net) -> None:
    x, lookahead = spectra(1), torch.tensor([1])
    state = net.init_state(1)
    for t, full in enumerate(run(net, x, lookahead)):
        step = net.step(x[:, t], lookahead, state, decodes=("guide",))
        assert step.lm is None
        torch.testing.assert_close(step.masks["guide"], full.masks["guide"])
    assert all((tensor == 0).all() for _, tensor in state.child("lm").named_tensors())
    assert net.step(x[:, 0], lookahead, state, decodes=("guide",), tokens=True).lm is not None


def test_sampling_depends_on_the_seed_of_the_slot_alone(net: Net) -> None:
    x, lookahead = spectra(1).expand(3, -1, -1, -1, -1), torch.tensor([1, 1, 1])
    steps = run(net, x, lookahead, decoding=Decoding(temperature=1.0), seed=torch.tensor([5, 6, 5]))
    codes = torch.stack([step.lm.codes for step in steps if step.lm is not None])
    assert torch.equal(codes[:, 0], codes[:, 2]) and not torch.equal(codes[:, 0], codes[:, 1])


def test_acoustic_codes_do_not_change_the_semantic_ones(net: Net) -> None:
    x, lookahead = spectra(1), torch.tensor([1])
    few, all_ = run(net, x, lookahead), run(net, x, lookahead, decoding=Decoding(codebooks=5))
    for a, b in zip(few, all_, strict=True):
        assert a.lm is not None and b.lm is not None
        assert torch.equal(a.lm.codes, b.lm.codes[..., :3]) and b.lm.codes.shape == (1, 4, 5)


def test_delay_moves_rows_by_their_lookahead() -> None:
    x = torch.arange(1.0, 5.0).expand(4, 4)
    assert delay(x, torch.arange(4), -1.0).tolist() == [
        [1, 2, 3, 4],
        [1, 2, 3, 4],
        [-1, 1, 2, 3],
        [-1, -1, 1, 2],
    ]
