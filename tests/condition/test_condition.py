"""Level, Conformer, encoder, guide: steps equal the sequence, nothing hears the future, slots are alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
import torch
from torch import Tensor

from kernels.registry import resolve
from streamsep.condition.bands import BandLinear, band_matrix, band_of_bin, band_sum, band_widths
from streamsep.condition.conformer import Conformer, TimeAttention, TimeConvolution
from streamsep.condition.encoder import ConditionEncoder, ConditionPool
from streamsep.condition.features import BandEmbedding, mid_side, spectral_features
from streamsep.condition.guide import GuideHead, log_masks
from streamsep.condition.level import FLOOR, LevelTracker
from streamsep.config import BINS, ENVELOPES, LOOKAHEADS, ConditionConfig, envelope_edges, trunk_edges
from streamsep.streaming import State

CONFIG = ConditionConfig(
    band_dim=8, tokens=6, dim=16, layers=2, heads=2, kernel=3, left_context=5, ff_mult=2, out_dim=12, zoom=8
)
FRAMES = 13  # more than the attention's left context, so that its ring turns over
M = TypeVar("M", bound=torch.nn.Module)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def spectrum(*lead: int, seed: int = 0) -> Tensor:
    return torch.view_as_complex(noise(*lead, 2, 2, BINS, 2, seed=seed))


def seeded(make: Callable[[], M]) -> M:
    torch.manual_seed(3)
    module = make()
    for parameter in module.parameters():  # none may stay at zero: what is not used cannot be wrong
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.3)
    return module.eval()


def conformer(backend: str) -> Conformer:
    made = seeded(lambda: Conformer(CONFIG))
    made.conformer_step = resolve("conformer_step", "cpu", backend).function
    return made


@pytest.mark.parametrize("backend", ["reference", "numba"])
@torch.no_grad()
def test_steps_equal_the_sequence(backend: str) -> None:
    module = conformer(backend)
    x = noise(2, 6, FRAMES, 16)
    state = module.init_state(2)
    steps = torch.stack([module.step(x[:, :, t], state) for t in range(FRAMES)], 2)
    torch.testing.assert_close(steps, module(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "make", [lambda: TimeAttention(16, 2, 5), lambda: TimeConvolution(16, 3), lambda: Conformer(CONFIG)]
)
def test_no_frame_depends_on_a_later_one(make: Callable[[], torch.nn.Module]) -> None:
    module = seeded(make)
    x = noise(1, 6, FRAMES, 16).requires_grad_()
    (gradient,) = torch.autograd.grad(module(x)[:, :, 6].square().sum(), x)
    assert (gradient[:, :, 7:] == 0).all()
    assert (gradient[:, :, 6] != 0).any()


def test_attention_forgets_what_left_its_window() -> None:
    module = seeded(lambda: TimeAttention(16, 2, 5))
    x = noise(1, 6, FRAMES, 16).requires_grad_()
    (gradient,) = torch.autograd.grad(module(x)[:, :, 10].square().sum(), x)
    assert (gradient[:, :, :6] == 0).all() and (gradient[:, :, 6] != 0).any()


@pytest.mark.parametrize("backend", ["reference", "numba"])
@torch.no_grad()
def test_slots_are_alone_and_inactive_ones_stand_still(backend: str) -> None:
    module = conformer(backend)
    x = noise(3, 6, FRAMES, 16)
    alone = module.init_state(1)
    expected = [module.step(x[1:2, :, t], alone) for t in range(FRAMES)]
    x[0], x[2] = torch.nan, torch.nan
    state = module.init_state(3)
    active = torch.tensor([True, True, False])
    for t in range(FRAMES):
        torch.testing.assert_close(module.step(x[:, :, t], state, active)[1:2], expected[t], atol=1e-5, rtol=1e-5)
    assert all((tensor[2] == 0).all() for _, tensor in state.named_tensors())
    state.reset(torch.tensor([True, False, False]))  # the poisoned slot is as good as new
    x = noise(3, 6, 4, 16, seed=1)
    fresh = module.init_state(1)
    for t in range(4):
        out, want = module.step(x[:, :, t], state), module.step(x[:1, :, t], fresh)
        torch.testing.assert_close(out[:1], want, atol=1e-5, rtol=1e-5)


def all_lookaheads(length: int = FRAMES) -> tuple[ConditionEncoder, Tensor, Tensor, Tensor]:
    encoder = seeded(lambda: ConditionEncoder(CONFIG))
    level = noise(4, length, seed=5).square() + 0.1
    return encoder, spectrum(4, length), level, torch.arange(len(LOOKAHEADS))


def test_encoder_steps_equal_the_sequence_at_every_lookahead() -> None:
    encoder, x, level, lookahead = all_lookaheads()
    tokens, target = encoder(x, level, lookahead)
    state = encoder.init_state(4)
    for t in range(FRAMES):
        step_tokens, step_target = encoder.step(x[:, t], level[:, t], lookahead, state)
        torch.testing.assert_close(step_tokens, tokens[:, :, t], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(step_target, target[:, :, t], atol=1e-5, rtol=1e-5)


def test_target_is_the_frame_that_is_emitted() -> None:
    encoder, x, level, lookahead = all_lookaheads()
    assert encoder.zoom is not None
    features, zoomed = spectral_features(x.flatten(0, 1), level.flatten()), encoder.zoom(x, level)
    embedded = encoder.embed(features, zoomed).unflatten(0, (4, FRAMES))
    _, target = encoder(x, level, lookahead)
    for row, k in enumerate(LOOKAHEADS):
        for t in range(FRAMES):
            want = embedded[row, t - k] if k >= 0 and t >= k else torch.zeros(30, 8)
            torch.testing.assert_close(target[row, :, t], want)


def test_encoder_keeps_slots_apart() -> None:
    encoder, x, level, lookahead = all_lookaheads(6)
    alone = encoder.init_state(1)
    expected = [encoder.step(x[2:3, t], level[2:3, t], lookahead[2:3], alone) for t in range(6)]
    x[0] = torch.nan
    state = encoder.init_state(4)
    active = torch.tensor([True, False, True, False])
    for t in range(6):
        for got, want in zip(encoder.step(x[:, t], level[:, t], lookahead, state, active), expected[t], strict=True):
            torch.testing.assert_close(got[2:3], want, atol=1e-5, rtol=1e-5)
    assert all((tensor[[1, 3]] == 0).all() for _, tensor in state.named_tensors())


def _renewed(encoder: ConditionEncoder) -> None:
    encoder.load_state_dict({name: 1.5 * x for name, x in encoder.state_dict().items()}, assign=True)


def _scaled(encoder: ConditionEncoder) -> None:
    encoder.embed.project.weights[-1].mul_(1.5)


def _replaced(encoder: ConditionEncoder) -> None:
    encoder.embed.norm.weight = torch.nn.Parameter(encoder.embed.norm.weight * 1.5)


def _moved(encoder: ConditionEncoder) -> None:
    assert encoder.zoom is not None
    encoder.zoom.project.bias.data = encoder.zoom.project.bias + 1.0


@pytest.mark.parametrize("change", [_renewed, _scaled, _replaced, _moved])
@torch.no_grad()
def test_a_step_hears_with_the_weights_as_they_are(change: Callable[[ConditionEncoder], None]) -> None:
    encoder, x, level, _ = all_lookaheads(1)
    at_once = torch.full((4,), LOOKAHEADS.index(0))
    with torch.inference_mode():
        encoder.step(x[:, 0], level[:, 0], at_once, encoder.init_state(4))
    assert encoder.weights() is encoder.weights()
    change(encoder)
    _, target = encoder.step(x[:, 0], level[:, 0], at_once, encoder.init_state(4))
    torch.testing.assert_close(target, encoder(x, level, at_once)[1][:, :, 0], atol=1e-5, rtol=1e-5)


def test_a_step_in_training_has_gradients() -> None:
    encoder, x, level, lookahead = all_lookaheads(1)
    tokens, target = encoder.train().step(x[:, 0], level[:, 0], lookahead, encoder.init_state(4))
    (tokens.square().sum() + target.square().sum()).backward()
    assert encoder.zoom is not None
    parts = [*encoder.embed.parameters(), *encoder.zoom.parameters()]
    assert all(p.grad is not None and p.grad.any() for p in parts)


@pytest.mark.parametrize("fall", [1.0, 1e-3])
def test_level_steps_equal_the_sequence(fall: float) -> None:
    power = noise(2, 120).square()
    power[:, 40:] *= fall
    tracker = LevelTracker()
    state = tracker.init_state(2)
    steps = torch.stack([tracker.step(power[:, t], state) for t in range(120)], 1)
    torch.testing.assert_close(steps, tracker(power), rtol=1e-4, atol=0)


def test_level_of_a_steady_sound_is_its_power_from_the_first_frame() -> None:
    assert torch.allclose(LevelTracker()(torch.full((1, 100), 0.04)), torch.tensor(0.04), rtol=1e-4)


def test_level_follows_a_rise_within_two_frames_and_a_fall_slowly() -> None:
    power = torch.cat([torch.full((1, 100), 0.01), torch.full((1, 5), 1.0), torch.full((1, 50), 0.01)], 1)
    level = LevelTracker()(power)[0]
    assert level[101] > 0.5
    assert math.isclose(float(level[115] / level[140]), math.exp(25 * 0.04 / 1.5), rel_tol=0.15)


def test_silence_has_a_floor_and_an_inactive_slot_no_memory() -> None:
    tracker = LevelTracker()
    state: State = tracker.init_state(2)
    active = torch.tensor([True, False])
    for value in (0.0, 0.0, 1.0):
        level = tracker.step(torch.full((2,), value), state, active)
    assert torch.equal(tracker(torch.zeros(1, 3)), torch.full((1, 3), FLOOR))
    assert level[0] > 0.3
    assert (state["power"][1] == 0).all() and (state["weight"][1] == 0).all()


def test_bands_cover_every_bin_once() -> None:
    edges = envelope_edges()
    assert edges[0] == 0 and edges[-1] == BINS and len(edges) == ENVELOPES + 1
    assert set(trunk_edges()) <= set(edges)
    assert torch.equal(band_matrix().sum(1), torch.ones(BINS))
    assert torch.equal(band_matrix().argmax(1), band_of_bin())
    power = noise(3, BINS).square()
    expected = torch.stack([power[:, a:b].sum(1) for a, b in zip(edges, edges[1:], strict=False)], 1)
    torch.testing.assert_close(band_sum(power), expected)
    torch.testing.assert_close(band_sum(torch.ones(BINS)), band_widths())


def test_band_constants_made_for_inference_serve_training_too() -> None:
    for cached in (band_of_bin, band_matrix, band_widths):
        cached.cache_clear()
    with torch.inference_mode():
        band_sum(torch.ones(BINS)), band_widths()
    power = torch.ones(BINS, requires_grad=True)
    (band_sum(power) * band_widths()).sum().backward()
    assert power.grad is not None


def test_band_linear_is_one_map_a_band() -> None:
    module = seeded(lambda: BandLinear(3, 8))
    x = noise(2, BINS, 3).requires_grad_()
    for band, (a, b) in enumerate(zip(trunk_edges(), trunk_edges()[1:], strict=False)):
        (gradient,) = torch.autograd.grad(module(x)[:, band].square().sum(), x)
        touched = gradient.abs().sum((0, 2)) > 0
        assert touched[a:b].all() and not touched[:a].any() and not touched[b:].any()


def test_features_do_not_depend_on_loudness_and_know_left_from_right() -> None:
    x, level = spectrum(2), torch.tensor([1.0, 0.5])
    torch.testing.assert_close(
        spectral_features(x * 0.01, level * 1e-4), spectral_features(x, level), atol=1e-3, rtol=1e-3
    )
    sound = torch.zeros(1, 2, 2, BINS, dtype=torch.complex64)
    sound[:, 0] = 1.0  # left only
    panorama = spectral_features(mid_side(sound, 1), torch.ones(1)).unflatten(-1, (2, 3))[..., 2]
    torch.testing.assert_close(panorama, torch.ones_like(panorama), atol=1e-4, rtol=0)
    torch.testing.assert_close(mid_side(mid_side(x, 1), 1), x)


@pytest.mark.parametrize("shared", [(), (2, 1, 3)])
@pytest.mark.parametrize("backend", ["reference", "numba"])
@torch.no_grad()
def test_a_guide_step_says_what_the_sequence_says(backend: str, shared: tuple[int, ...]) -> None:
    guide = seeded(lambda: GuideHead(replace(CONFIG, shared=shared)))
    guide.guide_head = resolve("guide_head", "cpu", backend).function
    tokens, target = noise(3, 6, 16), noise(3, 30, 8, seed=1)
    for change in (lambda: None, lambda: guide.mix.weight.mul_(2), lambda: guide.double().float()):
        change()
        torch.testing.assert_close(guide.step(tokens, target), guide(tokens, target), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shared", [(), (2, 1, 3)])
@pytest.mark.parametrize("backend", ["reference", "numba"])
@torch.no_grad()
def test_bands_are_merged_in_a_step_as_in_the_sequence(backend: str, shared: tuple[int, ...]) -> None:
    encoder = seeded(lambda: ConditionEncoder(replace(CONFIG, shared=shared)))
    encoder.group_linear = resolve("group_linear", "cpu", backend).function
    bands = noise(3, 30, 8)
    for change in (lambda: None, lambda: encoder.merge.bias.add_(1), lambda: encoder.double().float()):
        change()
        torch.testing.assert_close(encoder._merged_step(bands), encoder._merged(bands), atol=1e-5, rtol=1e-5)


def test_embedding_pool_and_guide_work_band_by_band() -> None:
    embedding, pool = seeded(lambda: BandEmbedding(8)), seeded(lambda: ConditionPool(CONFIG))
    bands = embedding(spectral_features(spectrum(3), torch.ones(3)))
    assert bands.shape == (3, 30, 8) and pool(noise(3, 6, 16)).shape == (3, 12)
    guide = seeded(lambda: GuideHead(CONFIG))
    tokens, target = noise(3, 6, 16).requires_grad_(), noise(3, 30, 8, seed=1).requires_grad_()
    logits = guide(tokens, target)
    assert logits.shape == (3, 4, 2, 2, ENVELOPES)
    torch.testing.assert_close(log_masks(logits).exp().sum(1), torch.ones(3, 2, 2, ENVELOPES))
    gradients = torch.autograd.grad(logits[..., 28:32].square().sum(), (tokens, target))  # the eighth trunk band
    for gradient, own, others in zip(gradients, (1, 7), ([0, 2], [6, 8]), strict=True):
        assert (gradient[:, own] != 0).any() and (gradient[:, others] == 0).all()
