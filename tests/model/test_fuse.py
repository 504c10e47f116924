"""Fusion: shares that sum to one, the guide's envelopes in the codec's scale, trust by certainty."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from kernels.registry import resolve
from streamsep.codec.envelope import log_envelopes
from streamsep.config import BINS, ENVELOPES
from streamsep.model.fuse import Fuse, guide_envelopes, token_masks


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_an_untrained_fusion_blends_and_mostly_trusts_the_guide() -> None:
    guide, tokens, entropy = noise(5, 4, 2, 2, ENVELOPES), noise(5, 4, 240, seed=1), torch.full((5, 4), 3.0)
    fuse = Fuse()
    masks = fuse(guide, tokens, entropy)
    torch.testing.assert_close(masks.exp().sum(1), torch.ones(5, 2, 2, ENVELOPES))
    weight = 1 / (1 + math.e)
    mean = torch.log_softmax((1 - weight) * torch.log_softmax(guide, 1) + weight * token_masks(tokens), 1)
    torch.testing.assert_close(masks, mean, atol=1e-5, rtol=1e-5)
    assert sum(p.numel() for p in fuse.parameters()) < 2_000


def test_certain_tokens_can_be_trusted_more() -> None:
    fuse = Fuse()
    with torch.no_grad():
        fuse.slope.fill_(-1.0)
    sure, unsure = fuse.weight(torch.zeros(4)), fuse.weight(torch.full((4,), 6.0))
    assert (sure > 0.8).all() and (unsure < 0.1).all()


def test_sides_are_trusted_apart() -> None:
    guide, tokens, entropy = noise(4, 2, 2, ENVELOPES), noise(4, 240, seed=1), torch.full((4,), 3.0)
    fuse = Fuse()
    before = fuse(guide, tokens, entropy)
    with torch.no_grad():
        fuse.trust[:, 1] = -20.0
    masks = fuse(guide, tokens, entropy)
    torch.testing.assert_close(masks[:, 0], before[:, 0])
    torch.testing.assert_close(masks[:, 1], torch.log_softmax(fuse.guide.detach() * guide, 0)[:, 1])


def test_fusion_learns_from_guide_tokens_and_entropy() -> None:
    fuse = Fuse()
    inputs = [noise(4, 2, 2, ENVELOPES), noise(4, 240, seed=1), noise(4, seed=2)]
    with torch.no_grad():
        fuse.slope.fill_(-0.5)
    for x in inputs:
        x.requires_grad_()
    fuse(*inputs).square().sum().backward()
    assert all(x.grad is not None and (x.grad != 0).any() for x in inputs)
    assert all(p.grad is not None and (p.grad != 0).any() for p in fuse.parameters())


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_the_kernel_fuses_as_the_module_and_sees_its_weights_change(backend: str) -> None:
    fuse, call = Fuse(), resolve("fuse_masks", "cpu", backend).function
    inputs = noise(3, 4, 2, 2, ENVELOPES), noise(3, 4, 240, seed=1), noise(3, 4, seed=2)

    def changed(before: Tensor | None) -> Tensor:
        masks = call(fuse.weights(), *inputs)
        torch.testing.assert_close(masks, fuse(*inputs).exp())
        assert before is None or not torch.equal(masks, before)
        return masks

    masks = changed(None)
    with torch.no_grad():
        fuse.trust.add_(noise(4, 2, ENVELOPES))
        masks = changed(masks)
        fuse.guide.data = torch.tensor(0.5)
        masks = changed(masks)
        fuse.slope = nn.Parameter(noise(4))
        masks = changed(masks)
        fuse.load_state_dict(Fuse().state_dict())
        masks = changed(masks)
        fuse = copy.deepcopy(fuse)
        fuse.exponent.mul_(2)
        changed(masks)


def test_token_masks_are_shares_of_power() -> None:
    env = torch.zeros(4, 240)
    env[0] += 0.1  # 3 dB more
    masks = token_masks(env).exp()
    louder = 10**0.3
    torch.testing.assert_close(masks[0], torch.full((2, 2, ENVELOPES), louder / (louder + 3)))
    torch.testing.assert_close(masks.sum(0), torch.ones(2, 2, ENVELOPES))


def test_subframes_of_envelopes_reach_the_columns_they_describe() -> None:
    env = torch.zeros(4, 240)
    env[2, 120 + 7] = 1.0
    masks = token_masks(env).exp()
    assert (masks[2, :, 1, 7] > 0.9).all()
    masks[:, :, 1, 7] = 0.25
    torch.testing.assert_close(masks, torch.full_like(masks, 0.25))


def test_guide_envelopes_are_those_of_the_masked_mixture() -> None:
    x, level = torch.view_as_complex(noise(3, 2, 2, BINS, 2)), torch.tensor([0.5, 1.0, 2.0])
    whole = torch.full((3, 4, 2, 2, ENVELOPES), -torch.inf)
    whole[:, 1] = 0
    env = guide_envelopes(whole, x, level)
    torch.testing.assert_close(env[:, 1], log_envelopes(x, level), atol=1e-4, rtol=1e-4)
    silent = log_envelopes(torch.zeros_like(x), level)
    for stem in (0, 2, 3):
        torch.testing.assert_close(env[:, stem], silent)
    half = guide_envelopes(whole.fill_(math.log(0.5)), x, level)
    torch.testing.assert_close(half[:, 0], log_envelopes(0.5 * x, level), atol=1e-4, rtol=1e-4)
