"""A bass that goes on as it sounded: every backend against the reference in float64, and what it is for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kernels.reference.hold_tone import KEPT
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

ACTIVE = torch.tensor([True, False, True])
STRIDED = torch.stack((ACTIVE, ~ACTIVE), 1)[:, 0]
DECAY = 0.9


def _noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _complex(*shape: int, seed: int = 0) -> Tensor:
    return torch.view_as_complex(_noise(*shape, 2, seed=seed))


def _gains(*lead: int, columns: int, bands: int) -> Tensor:
    """[*lead, S, 2, 2, R, M] as of covariances C: C (Σ C)⁻¹, which sum to the identity."""
    roots = _noise(*lead, columns, bands, 2, 2, seed=3)
    each = roots @ roots.mT + 0.1 * torch.eye(2)
    return (each @ each.sum(len(lead) - 1, keepdim=True).inverse()).movedim((-2, -1), (-4, -3)).contiguous()


def _inputs(sets: int, stems: int, columns: int, bins: int) -> list[Tensor]:
    gains, spectrum = _gains(3, sets, stems, columns=columns, bands=bins + 2), _complex(3, 2, columns, bins + 5, seed=1)
    before, turned = _complex(2, 3, sets, bins, seed=2), _complex(3, sets, bins, seed=4)
    powers = 0.3 + _noise(2, 3, sets, bins, seed=5).square()  # now and then
    turned = 0.9 * turned / turned.abs() * powers.prod(0).sqrt()
    share = _noise(3, sets, bins, seed=6).sigmoid()
    parts = torch.view_as_real(before).movedim((0, -1), (2, 3)).flatten(2, 3)
    kept = torch.cat((parts, torch.stack((turned.real, turned.imag, *powers, share), 2)), 2)
    return [gains, spectrum, kept]


def _call(backend: str, inputs: list[Tensor], active: Tensor | None = None, stem: int = 1) -> Tensor:
    gains, spectrum, kept = inputs
    return load("hold_tone", backend)(gains, spectrum, stem, DECAY, kept, active)


@pytest.mark.parametrize("active", [None, ACTIVE, STRIDED], ids=["all", "some", "strided"])
@pytest.mark.parametrize("sizes", [(1, 2, 1, 1), (2, 3, 1, 2), (1, 4, 3, 31), (3, 5, 2, 32)], ids=str)
@pytest.mark.parametrize(("backend", "dtype"), backends("hold_tone"))
def test_error_is_that_of_torch(
    backend: str, dtype: torch.dtype, sizes: tuple[int, int, int, int], active: Tensor | None
) -> None:
    given = to(_inputs(*sizes), dtype)
    wide, own = to(given, torch.float64), to(given, dtype, backend)
    mask, own_mask = to([active], dtype)[0], to([active], dtype, backend)[0]
    before = own[2].clone()
    exact, plain = _call("reference", wide, mask), _call("reference", given, mask)
    ours = _call(backend, own, own_mask)
    moving = ACTIVE if active is not None else torch.ones(3, dtype=torch.bool)
    assert exact[moving].abs().max() > 0.01
    for part in (torch.real, torch.imag):
        assert_close_as_torch(part(ours)[moving], part(plain)[moving], part(exact)[moving], roundings=4)
    assert torch.equal(own[2][~moving], before[~moving])
    assert_close_as_torch(own[2][moving], given[2][moving], wide[2][moving], roundings=4)


def _string_and_hit(steps: int) -> tuple[Tensor, Tensor]:
    """[T, 2 stems, 2 sides, 3 bins]: a steady tone, and noise that sets in late; [T, 2, 3] their powers."""
    turns = 2 * math.pi * 0.19 * torch.arange(steps)
    place = torch.tensor([[1.0, 3.0, 1.0], [0.4, 1.2, 0.4]]).to(torch.complex64)
    tone = torch.polar(torch.ones(steps), turns)[:, None, None] * place
    hit = 2 * _complex(steps, 2, 3, seed=7) * (torch.arange(steps) >= 30)[:, None, None]
    both = torch.stack((tone, hit), 1)
    return both, both.abs().square().sum(2)


@pytest.mark.parametrize("backend", ["reference", *names("hold_tone")])
def test_a_tone_is_kept_apart_from_what_hits_it(backend: str) -> None:
    """The gains know the powers alone, of each bin, so each stem gets the other's phase; the tone was alone before."""
    sources, powers = _string_and_hit(40)
    shares = powers / powers.sum(1, keepdim=True)
    kept = to([torch.zeros(1, 1, KEPT, 3)], torch.float32, backend)[0]
    by_gains, held = [], []
    for t in range(40):
        gains = shares[t, None, None, :, None, None, None] * torch.eye(2)[:, :, None, None]
        spectrum = sources[t].sum(0)[None, :, None]
        frame = to([gains.contiguous(), spectrum], torch.float32, backend)
        added = load("hold_tone", backend)(*frame, 0, DECAY, kept).cpu()[0, 0, :, :, 0]
        plain = shares[t, :, None] * spectrum[0, :, 0]
        by_gains.append((plain - sources[t]).abs().square().sum())
        held.append((plain + added - sources[t]).abs().square().sum())
    assert sum(held[30:35]) < 0.5 * sum(by_gains[30:35])
    assert sum(held[:30]) <= sum(by_gains[:30]) + 1e-6  # alone it is what was heard


@pytest.mark.parametrize("backend", ["reference", *names("hold_tone")])
@pytest.mark.parametrize(("leak", "share"), [(5.0, 1.0), (-5.0, 0.0), (-0.4, 0.8)])
def test_a_share_is_no_less_than_nothing_and_no_more_than_all(backend: str, leak: float, share: float) -> None:
    """Gains between the sides may well say so."""
    gains = torch.zeros(1, 1, 1, 2, 2, 1, 1)
    gains[..., 0, 0, 0, 0], gains[..., 0, 1, 0, 0], gains[..., 1, 1, 0, 0] = 1, leak, 1
    inputs = [gains, torch.ones(1, 2, 1, 1, dtype=torch.complex64), torch.zeros(1, 1, KEPT, 1)]
    inputs = to(inputs, torch.float32, backend)
    _call(backend, inputs, stem=0)
    assert float(inputs[2][0, 0, -1, 0]) == pytest.approx(share)


@pytest.mark.parametrize("backend", ["reference", *names("hold_tone")])
def test_what_is_added_sums_to_nothing_and_a_stem_without_gains_gets_nothing(backend: str) -> None:
    inputs = _inputs(1, 4, 2, 7)
    inputs[0][:, :, 3] = 0
    inputs[0][:, :, 0] += torch.eye(2)[:, :, None, None] - inputs[0].sum(2)
    added = _call(backend, to(inputs, torch.float32, backend)).cpu()
    assert added.sum(2).abs().max() < 1e-5 < added.abs().max()
    assert (added[:, :, 3] == 0).all()
    silent = _call(backend, to(inputs, torch.float32, backend), stem=3).cpu()  # and holds no tone either
    assert silent.abs().max() < 1e-5


@pytest.mark.parametrize("backend", ["reference", *names("hold_tone")])
def test_whatever_is_heard_it_is_finite(backend: str) -> None:
    """Tones, noise, silence, mono, at any level, in turns; gains from even to all or nothing."""
    generator = torch.Generator().manual_seed(1)
    kept = to([torch.zeros(1, 1, KEPT, 6)], torch.float32, backend)[0]
    for _ in range(10 if backend == "triton" else 60):
        kind = int(torch.randint(4, (1,), generator=generator))
        level, sharp = 10 ** torch.empty(2).uniform_(-3, 3, generator=generator)
        for t in range(4):
            x = torch.view_as_complex(torch.randn(2, 6, 2, generator=generator))
            tone = torch.polar(torch.ones(2, 6), torch.full((2, 6), 0.7 * t))
            heard = level * (x, tone, 0 * x, x * torch.tensor([[1.0], [0.0]]))[kind]
            masks = (sharp * torch.randn(1, 1, 4, 1, 1, 1, 6, generator=generator)).softmax(2)
            frame = to([masks * torch.eye(2)[:, :, None, None], heard[None, :, None]], torch.float32, backend)
            added = load("hold_tone", backend)(*frame, 2, DECAY, kept).cpu()
            assert added.isfinite().all() and kept.isfinite().all()
            assert added.abs().max() <= 100 * max(level, 1e-3) * x.abs().max()
            assert added.sum(2).abs().max() <= 1e-4 * level


@pytest.mark.parametrize("backend", ["reference", *names("hold_tone")])
def test_a_poisoned_slot_stays_alone_and_silence_stays_silent(backend: str) -> None:
    gains, spectrum, kept = _inputs(1, 4, 2, 7)
    spectrum[1] = torch.nan
    spectrum[2], kept[2] = 0, 0
    inputs = to([gains, spectrum, kept], torch.float32, backend)
    for _ in range(3):
        added = _call(backend, inputs).cpu()
    assert added[1].isnan().all() and added[0].isfinite().all() and (added[2] == 0).all()
    assert inputs[2][0].isfinite().all() and inputs[2][1].isnan().any() and inputs[2][2].isfinite().all()


@pytest.mark.parametrize("backend", names("hold_tone"))
def test_what_cannot_be_changed_in_place_is_refused(backend: str) -> None:
    inputs = to(_inputs(1, 2, 1, 5), torch.float32, backend)
    inputs[2] = inputs[2].mT.contiguous().mT
    with pytest.raises(ValueError, match="contiguous"):
        _call(backend, inputs)


@pytest.mark.parametrize("backend", names("hold_tone"))
def test_parts_of_larger_tensors_are_read_as_they_are(backend: str) -> None:
    inputs = _inputs(2, 3, 2, 5)
    whole, own = to(inputs, torch.float32, backend), to(inputs, torch.float32, backend)
    parts = [torch.stack((x, torch.zeros_like(x)), -1)[..., 0] for x in own[:2]]
    assert torch.equal(_call(backend, [*parts, own[2]]), _call(backend, whole)) and torch.equal(own[2], whole[2])
