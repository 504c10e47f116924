"""Running level of a sound: every backend against the reference in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kernels.reference.track_level import FLOOR, track_level
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

ACTIVE = torch.tensor([True, False, True])
STRIDED = torch.stack((ACTIVE, ~ACTIVE), 1)[:, 0]


def _given(bins: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(bins)
    spectrum = torch.view_as_complex(torch.randn(3, 2, 2, bins, 2, generator=generator))
    power, weight = torch.rand(3, 2, generator=generator), 20 * torch.rand(3, 2, generator=generator)
    return [spectrum, torch.tensor([0.97, 0.6]), power, weight]


def _wide(given: list[Tensor]) -> list[Tensor]:
    return [given[0].to(torch.complex128), *to(given[1:], torch.float64)]


@pytest.mark.parametrize("active", [None, ACTIVE, STRIDED], ids=["all", "some", "strided"])
@pytest.mark.parametrize("bins", [1, 7, 257, 961])
@pytest.mark.parametrize(("backend", "dtype"), backends("track_level"))
def test_error_is_that_of_torch(backend: str, dtype: torch.dtype, bins: int, active: Tensor | None) -> None:
    given = to(_given(bins), dtype)
    wide, own = _wide(given), to(given, dtype, backend)
    before = [x.clone() for x in own[2:]]
    mask, own_mask = to([active], dtype)[0], to([active], dtype, backend)[0]
    exact, plain = track_level(*wide, mask), track_level(*given, mask)
    ours = load("track_level", backend)(*own, own_mask)
    moving = ACTIVE if active is not None else torch.ones(3, dtype=torch.bool)
    assert_close_as_torch(ours[moving], plain[moving], exact[moving], roundings=2)
    for kept, was, want, sure in zip(own[2:], before, given[2:], wide[2:], strict=True):
        assert torch.equal(kept[~moving], was[~moving])
        assert_close_as_torch(kept[moving], want[moving], sure[moving], roundings=2)


@pytest.mark.parametrize("backend", ["reference", *names("track_level")])
def test_a_poisoned_slot_stays_alone_and_silence_has_a_floor(backend: str) -> None:
    spectrum, decay, power, weight = to(_given(7), torch.float32, backend)
    spectrum[1] = torch.nan
    spectrum[2], power[2], weight[2] = 0.0, 0.0, 0.0
    level = load("track_level", backend)(spectrum, decay, power, weight)
    assert level[0].isfinite() and level[1].isnan() and level[2] == torch.tensor(FLOOR)
    assert power[0].isfinite().all() and power[1].isnan().all() and weight.isfinite().all()


@pytest.mark.parametrize("backend", names("track_level"))
def test_what_cannot_be_moved_is_refused(backend: str) -> None:
    spectrum, decay, power, weight = to(_given(7), torch.float32, backend)
    function = load("track_level", backend)
    with pytest.raises(ValueError, match="contiguous"):
        function(spectrum, decay, power.T.contiguous().T, weight)
    with pytest.raises(TypeError, match="complex64"):
        function(spectrum.to(torch.complex128), decay, power, weight)
