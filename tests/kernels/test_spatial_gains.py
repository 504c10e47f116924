"""Gains between mid and side: every backend against the reference in float64, and what the filter is for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

ACTIVE = torch.tensor([True, False, True])
STRIDED = torch.stack((ACTIVE, ~ACTIVE), 1)[:, 0]
DECAY = 0.97


def _noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _inputs(sets: int, stems: int, columns: int, edges: tuple[int, ...]) -> list[Tensor]:
    bands = len(edges) - 1
    masks = _noise(3, sets, stems, 2, columns, bands).softmax(2)
    spectrum = torch.view_as_complex(_noise(3, 2, columns, edges[-1], 2, seed=1))
    mid, side, alike = _noise(3, 3, sets, stems, bands, seed=2)
    mid, side = 2 * mid.exp(), side.exp()
    kept = torch.stack((mid, side, (mid * side).sqrt() * alike.tanh()), 3)
    return [masks, spectrum, torch.tensor(edges), kept]


def _call(backend: str, inputs: list[Tensor], active: Tensor | None = None) -> Tensor:
    masks, spectrum, edges, kept = inputs
    return load("spatial_gains", backend)(masks, spectrum, edges, DECAY, kept, active)


SIZES = [(1, 2, 1, (0, 1)), (2, 3, 1, (0, 1, 3, 40)), (1, 4, 3, (0, 2, 3, 4, 21, 22, 30)), (3, 5, 2, (0, 7, 101))]


@pytest.mark.parametrize("active", [None, ACTIVE, STRIDED], ids=["all", "some", "strided"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize(("backend", "dtype"), backends("spatial_gains"))
def test_error_is_that_of_torch(
    backend: str, dtype: torch.dtype, sizes: tuple[int, int, int, tuple[int, ...]], active: Tensor | None
) -> None:
    given = to(_inputs(*sizes), dtype)
    wide, own = [to(given[:1], torch.float64)[0], given[1].to(torch.complex128)], to(given, dtype, backend)
    wide += [given[2], given[3].double()]
    mask, own_mask = to([active], dtype)[0], to([active], dtype, backend)[0]
    before = own[3].clone()
    exact, plain = _call("reference", wide, mask), _call("reference", given, mask)
    ours = _call(backend, own, own_mask)
    moving = ACTIVE if active is not None else torch.ones(3, dtype=torch.bool)
    assert_close_as_torch(ours[moving], plain[moving], exact[moving])
    assert torch.equal(own[3][~moving], before[~moving])
    assert_close_as_torch(own[3][moving], given[3][moving], wide[3][moving], roundings=2)


@pytest.mark.parametrize("backend", ["reference", *names("spatial_gains")])
def test_gains_sum_to_the_identity_and_a_stem_without_a_mask_gets_nothing(backend: str) -> None:
    inputs = _inputs(1, 4, 2, (0, 2, 9, 30))
    inputs[0][:, :, 3] = 0
    inputs[0] /= inputs[0].sum(2, keepdim=True)
    gains = _call(backend, to(inputs, torch.float32, backend)).cpu()
    same = torch.eye(2)[:, :, None, None].expand(3, 1, 2, 2, 2, 3)
    torch.testing.assert_close(gains.sum(2), same, atol=1e-5, rtol=0)
    assert (gains[:, :, 3] == 0).all()


@pytest.mark.parametrize("backend", ["reference", *names("spatial_gains")])
def test_two_places_are_told_apart_in_time(backend: str) -> None:
    """Two stems, one at the left and one at the right, of which the masks know nothing but who is louder."""
    edges, steps = torch.tensor([0, 40]), 80
    sources = torch.view_as_complex(_noise(steps, 2, 40, 2)) * torch.tensor([1.0, 3.0])[:, None]
    sources[::2] = sources[::2].flip(1)  # in turns
    power = sources.abs().square().sum(-1)
    masks = (power / power.sum(1, keepdim=True))[:, None, None, :, None, None, None].expand(-1, 1, 1, 2, 2, 1, 1)
    both = torch.stack((sources[:, 0] + sources[:, 1], sources[:, 0] - sources[:, 1]), 1)[:, None, :, None]
    kept = to([torch.zeros(1, 1, 2, 3, 1)], torch.float32, backend)[0]
    errors = []
    for t in range(steps):
        frame = to([masks[t].contiguous(), both[t], edges], torch.float32, backend)
        gains = load("spatial_gains", backend)(*frame, DECAY, kept).cpu()
        found = (gains[0, 0, 0, :, :, 0, 0].to(torch.complex64) @ both[t, 0, :, 0]).mean(0)
        errors.append((found - sources[t, 0]).abs().square().mean() / power[t, 0] * 40)
    by_mask = 1 - masks[:, 0, 0, 0, 0, 0, 0]  # of its power: what it lacks, and what it has of the other
    assert torch.stack(errors[-30:]).mean() < 0.2 * by_mask[-30:].mean()


@pytest.mark.parametrize("backend", ["reference", *names("spatial_gains")])
def test_whatever_is_heard_stems_are_finite_and_sum_to_it(backend: str) -> None:
    """Mono, one side alone, one place, silence, at any level, in turns; masks from even to all or nothing."""
    generator = torch.Generator().manual_seed(1)
    edges, bands = torch.tensor([0, 1, 3, 8]), torch.tensor([0, 1, 1, 2, 2, 2, 2, 2])
    kept = to([torch.zeros(1, 1, 4, 3, 3)], torch.float32, backend)[0]
    silence = torch.zeros(8, dtype=torch.complex64)
    for _ in range(10 if backend == "triton" else 60):
        kind, level, sharp = (
            int(torch.randint(6, (1,), generator=generator)),
            *10 ** torch.empty(2).uniform_(-3, 3, generator=generator),
        )
        for _ in range(4):
            x, y = torch.view_as_complex(torch.randn(2, 8, 2, generator=generator))
            heard = ((x, y), (x, silence), (silence, y), (x, 0.7 * x), (x, 1e-5 * y), (silence, silence))[kind]
            spectrum = level * torch.stack(heard)[None, :, None]
            masks = (sharp * torch.randn(1, 1, 4, 2, 1, 3, generator=generator)).softmax(2)
            frame = to([masks, spectrum, edges], torch.float32, backend)
            gains = load("spatial_gains", backend)(*frame, DECAY, kept).cpu()
            stems = (gains[0, 0, ..., 0, :].index_select(-1, bands) * spectrum[0, :, 0]).sum(2)
            assert stems.isfinite().all() and kept.isfinite().all() and (kept[:, :, :, :2] >= 0).all()
            assert (stems.sum(0) - spectrum[0, :, 0]).abs().max() <= 2e-5 * spectrum.abs().max()


@pytest.mark.parametrize("backend", ["reference", *names("spatial_gains")])
def test_a_poisoned_slot_stays_alone_and_silence_and_mono_are_finite(backend: str) -> None:
    masks, spectrum, edges, kept = _inputs(1, 4, 2, (0, 2, 9, 30))
    spectrum[0, 1] = 0  # no side
    spectrum[1] = torch.nan
    spectrum[2], kept[2], kept[0] = 0, 0, 0
    inputs = to([masks, spectrum, edges, kept], torch.float32, backend)
    for _ in range(3):
        gains = _call(backend, inputs).cpu()
    assert gains[1].isnan().all() and gains[0].isfinite().all() and gains[2].isfinite().all()
    torch.testing.assert_close(gains[0, :, :, 0, 0], masks[0, :, :, 0], atol=1e-5, rtol=0)  # mid is as it was masked
    assert inputs[3][0].isfinite().all() and inputs[3][1].isnan().all() and inputs[3][2].isfinite().all()


@pytest.mark.parametrize("backend", names("spatial_gains"))
def test_what_cannot_be_changed_in_place_is_refused(backend: str) -> None:
    inputs = to(_inputs(1, 2, 1, (0, 2, 9)), torch.float32, backend)
    inputs[3] = inputs[3].mT.contiguous().mT
    with pytest.raises(ValueError, match="contiguous"):
        _call(backend, inputs)


@pytest.mark.parametrize("backend", names("spatial_gains"))
def test_parts_of_larger_tensors_are_read_as_they_are(backend: str) -> None:
    inputs = _inputs(2, 3, 2, (0, 2, 9))
    whole, own = to(inputs, torch.float32, backend), to(inputs, torch.float32, backend)
    parts = [torch.stack((x, torch.zeros_like(x)), -1)[..., 0] for x in own[:3]]
    assert torch.equal(_call(backend, [*parts, own[3]]), _call(backend, whole)) and torch.equal(own[3], whole[3])
