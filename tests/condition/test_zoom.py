"""Zoom: tones closer than a column tells apart, at the right place and level; steps equal the sequence."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kernels.registry import resolve
from streamsep.codec.stft import STFT
from streamsep.condition.encoder import ConditionEncoder
from streamsep.condition.zoom import PARTS, Zoom, zoom_filters
from streamsep.config import BINS, FRAME, LOOKAHEADS, SAMPLE_RATE, ConditionConfig

FRAMES = 12
SPACING = 25 / PARTS  # Hz


def columns(*tones: float) -> Tensor:
    """[1, T, 2, 2, 961] complex: tones of these frequencies, in the middle."""
    t = torch.arange(FRAMES * FRAME, dtype=torch.float64) / SAMPLE_RATE
    mid = sum((torch.sin(2 * math.pi * tone * t) for tone in tones), torch.zeros_like(t))
    wave = torch.stack([mid, torch.zeros_like(mid)])[None].float()
    return STFT()(wave).unflatten(2, (FRAMES, 2)).transpose(1, 2)


def parts(zoom: Zoom, x: Tensor) -> Tensor:
    """[bins · PARTS]: the power of the middle in the parts of the last frame's bins."""
    low = zoom._demodulated(x)[0, -zoom.frames :, 0].permute(2, 0, 1, 3).flatten(1)  # pyright: ignore[reportPrivateUsage]
    return (low @ zoom.filters).unflatten(-1, (PARTS, 2)).square().sum(-1).flatten()


def place(hertz: float) -> int:
    """The part that a frequency falls into; part 0 of bin b begins 12.5 Hz below the bin."""
    return int((hertz + 12.5) // SPACING)


@pytest.mark.parametrize("tone", [103.0, 240.5, 415.6, 421.9, 1_003.2, 4_321.0])
def test_a_tone_is_found_within_a_part_of_where_it_is(tone: float) -> None:
    assert abs(int(parts(Zoom(8, 4), columns(tone)).argmax()) - place(tone)) <= (0 if tone == 415.6 else 1)


def test_a_lasting_tone_is_as_strong_as_in_a_column() -> None:
    x = columns(400 + SPACING / 2)  # in the middle of a part
    found = parts(Zoom(8, 4), x).max()
    torch.testing.assert_close(found, x[0, -1, 0].abs().square()[:, 16].max(), rtol=0.01, atol=0)


def test_two_tones_in_one_window_are_two() -> None:
    power = parts(Zoom(16, 4), columns(403.0, 428.0))
    low, high = place(403.0), place(428.0)
    assert power[low + 2] < 0.1 * min(power[low], power[high])


def test_every_part_hears_as_much() -> None:
    total = zoom_filters(8).view(8, 2, PARTS, 2)[:, 0].square().sum((0, 2))
    torch.testing.assert_close(total, total[:1].expand(PARTS))


@pytest.mark.parametrize("backend", ["reference", "numba"])
@pytest.mark.parametrize("length", [0, 4, 8, 12])
@torch.no_grad()
def test_steps_equal_the_sequence(length: int, backend: str) -> None:
    torch.manual_seed(1)
    encoder = ConditionEncoder(ConditionConfig(band_dim=8, dim=16, layers=1, heads=2, zoom=length)).eval()
    encoder.band_embedding = resolve("band_embedding", "cpu", backend).function
    x = torch.view_as_complex(torch.randn(3, FRAMES, 2, 2, BINS, 2))
    level = torch.rand(3, FRAMES) + 0.1
    if encoder.zoom is not None:
        for weight in encoder.zoom.project.parameters():
            torch.nn.init.normal_(weight)
        assert not encoder.zoom(x, level)[:, 20:].any()  # no bins of these bands are resolved
    at_once = torch.full((3,), LOOKAHEADS.index(0))
    whole = encoder(x, level, at_once)
    state = encoder.init_state(3)
    for t in range(FRAMES):
        for got, want in zip(encoder.step(x[:, t], level[:, t], at_once, state), whole, strict=True):
            torch.testing.assert_close(got, want[:, :, t], atol=1e-5, rtol=1e-5)


def test_no_frame_depends_on_a_later_one() -> None:
    torch.manual_seed(1)
    zoom = Zoom(8, 4)
    for weight in zoom.project.weights:
        torch.nn.init.normal_(weight)
    x = torch.view_as_complex(torch.randn(1, FRAMES, 2, 2, BINS, 2)).requires_grad_()
    out = zoom(x, torch.ones(1, FRAMES)).unflatten(0, (1, FRAMES))
    (gradient,) = torch.autograd.grad(out[:, 6].square().sum(), x)
    heard = gradient.abs().amax((0, 2, 3, 4)) > 0
    assert heard.tolist() == [3 <= t <= 6 for t in range(FRAMES)]
