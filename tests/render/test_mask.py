"""Both mask renderers: stems sum to the delayed mixture, delays are exact, slots are alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from streamsep.codec.stft import STFT
from streamsep.condition.features import mid_side
from streamsep.config import BINS, ENVELOPES, FRAME
from streamsep.render.mask import MaskRenderer, to_bins
from streamsep.render.predictive import (
    HOPS,
    PREDICTIVE_HOP,
    PredictiveRenderer,
    asymmetric_windows,
    hop_masks,
)

FRAMES = 6


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def masks(*lead: int, seed: int = 0) -> Tensor:
    return torch.softmax(2 * noise(*lead, 4, 2, 2, ENVELOPES, seed=seed), -4)


def render(sound: Tensor, shares: Tensor, active: Tensor | None = None) -> Tensor:
    """``sound`` [B, 2, n], ``shares`` [B, T, S, 2, 2, 120] → [B, S, 2, n]."""
    stft, renderer = STFT(), MaskRenderer()
    states = stft.init_state(sound.shape[0]), renderer.init_state(sound.shape[0])
    out = []
    for t, block in enumerate(sound.split(FRAME, -1)):
        columns = stft.step(mid_side(block, 1), states[0])
        out.append(renderer.step(shares[:, t], columns, states[1], active))
    return torch.cat(out, -1)


def predict(sound: Tensor, shares: Tensor) -> Tensor:
    """``sound`` [B, 2, n], ``shares`` [B, T, S, 2, 2, 120] → [B, S, 2, n]."""
    renderer = PredictiveRenderer()
    state = renderer.init_state(sound.shape[0])
    hops = torch.stack([hop_masks(shares[:, t]) for t in range(shares.shape[1])], 1).flatten(1, 2)
    blocks = sound.split(PREDICTIVE_HOP, -1)
    return torch.cat([renderer.step(hops[:, i], block, state) for i, block in enumerate(blocks)], -1)


@pytest.mark.parametrize(("way", "delay"), [(render, MaskRenderer.delay), (predict, PredictiveRenderer.delay)])
def test_stems_sum_to_the_delayed_mixture(way, delay: int) -> None:
    sound = noise(2, 2, FRAMES * FRAME)
    stems = way(sound, masks(2, FRAMES))
    assert stems.shape == (2, 4, 2, FRAMES * FRAME)
    torch.testing.assert_close(stems.sum(1)[..., delay:], sound[..., :-delay], atol=1e-5, rtol=0)
    assert stems.sum(1)[..., :delay].abs().max() < 1e-5


@pytest.mark.parametrize(("way", "delay"), [(render, MaskRenderer.delay), (predict, PredictiveRenderer.delay)])
def test_a_stem_with_every_mask_is_the_mixture_and_the_others_are_silent(way, delay: int) -> None:
    sound = noise(1, 2, FRAMES * FRAME)
    shares = torch.zeros(1, FRAMES, 4, 2, 2, ENVELOPES)
    shares[:, :, 2] = 1
    stems = way(sound, shares)[0]
    torch.testing.assert_close(stems[2, :, delay:], sound[0, :, :-delay], atol=1e-5, rtol=0)
    assert stems[[0, 1, 3]].abs().max() == 0


def test_sides_have_masks_of_their_own() -> None:
    sound = noise(1, 2, FRAMES * FRAME)
    shares = torch.zeros(1, FRAMES, 4, 2, 2, ENVELOPES)
    shares[:, :, 0, 0], shares[:, :, 1, 1] = 1, 1  # all of mid to the first, all of side to the second
    stems = render(sound, shares)[0]
    torch.testing.assert_close(stems[0, 0], stems[0, 1])
    torch.testing.assert_close(stems[1, 0], -stems[1, 1])


@pytest.mark.parametrize("way", [render, predict])
def test_slots_are_alone(way) -> None:
    sound, shares = noise(3, 2, FRAMES * FRAME), masks(3, FRAMES)
    expected = way(sound[1:2], shares[1:2])
    sound[0], shares[2] = torch.nan, torch.nan
    torch.testing.assert_close(way(sound, shares)[1:2], expected, atol=1e-6, rtol=0)


def test_inactive_slots_stand_still() -> None:
    renderer, predictive = MaskRenderer(), PredictiveRenderer()
    active = torch.tensor([True, False])
    state = renderer.init_state(2)
    columns = torch.view_as_complex(noise(2, 2, 2, BINS, 2))
    renderer.step(masks(2), columns, state, active)
    hops = predictive.init_state(2)
    predictive.step(masks(2)[..., 0, :], noise(2, 2, PREDICTIVE_HOP), hops, active)
    for tree in (state, hops):
        for _, tensor in tree.named_tensors():
            assert (tensor[1] == 0).all() and (tensor[0] != 0).any()


def test_the_kernel_renders_as_plain_torch_does() -> None:
    plain, chosen = MaskRenderer(), MaskRenderer()
    assert chosen.select_kernels("cpu", "numba") == ("spatial_gains: numba", "hold_tone: numba", "mask_render: numba")
    states = plain.init_state(2), chosen.init_state(2)
    for t in range(FRAMES):
        columns, active = torch.view_as_complex(noise(2, 2, 2, BINS, 2, seed=t)), torch.tensor([True, t % 2 > 0])
        a, b = (x.step(masks(2, seed=t), columns, y, active) for x, y in zip((plain, chosen), states, strict=True))
        torch.testing.assert_close(a[active], b[active], atol=1e-6, rtol=1e-5)


def test_bins_take_their_bands_mask() -> None:
    bins = to_bins(torch.arange(ENVELOPES).float())
    assert bins.shape == (BINS,) and bins[0] == 0 and bins[-1] == ENVELOPES - 1
    assert (bins.diff() >= 0).all()


def test_predictive_windows_multiply_to_a_hann_window() -> None:
    analysis, synthesis = asymmetric_windows()
    product = analysis * synthesis
    assert (product[:-960] == 0).all()
    last = product[-960:]
    torch.testing.assert_close(last[:480] + last[480:], torch.ones(480))
    assert synthesis.abs().max() < 1.01  # nothing is blown up


def test_hops_go_from_column_to_column() -> None:
    shares = masks(1)
    hops = hop_masks(shares)
    assert hops.shape == (1, HOPS, 4, 2, ENVELOPES)
    torch.testing.assert_close(hops[:, 0], shares[:, :, :, 0])
    torch.testing.assert_close(hops[:, 2], shares[:, :, :, 1])
    torch.testing.assert_close(hops.sum(2), torch.ones_like(hops.sum(2)))
