"""Gains on columns, made into sound: every backend against the reference in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kernels.reference.mask_render import mask_render
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

ACTIVE = torch.tensor([True, False, True])
STRIDED = torch.stack((ACTIVE, ~ACTIVE), 1)[:, 0]


def _inputs(stems: int, rows: int, hop: int, bands: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(stems * hop)

    def rand(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    spectrum = torch.view_as_complex(rand(3, 2, rows, hop + 1, 2))
    gains, band = rand(3, stems, 2, 2, rows, bands), torch.arange(hop + 1) * bands // (hop + 1)
    added = torch.view_as_complex(rand(3, stems, 2, rows, 1 + hop // 3, 2))
    return [gains, spectrum, added, band, rand(2 * hop), rand(3, stems, 2, hop)]


@pytest.mark.parametrize("active", [None, ACTIVE, STRIDED], ids=["all", "some", "strided"])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 3, 7, 5), (5, 1, 131, 11), (4, 2, 480, 120)], ids=str)
@pytest.mark.parametrize(("backend", "dtype"), backends("mask_render"))
def test_error_is_that_of_torch(
    backend: str, dtype: torch.dtype, sizes: tuple[int, int, int, int], active: Tensor | None
) -> None:
    inputs = to(_inputs(*sizes), dtype)
    wide, own = to(inputs, torch.float64), to(inputs, dtype, backend)
    mask, own_mask = to([active], dtype)[0], to([active], dtype, backend)[0]
    exact, plain = mask_render(*wide, mask), mask_render(*inputs, mask)
    ours = load("mask_render", backend)(*own, own_mask)
    moving = ACTIVE if active is not None else torch.ones(3, dtype=torch.bool)
    assert_close_as_torch(ours[moving], plain[moving], exact[moving])
    assert torch.equal(own[5][~moving].cpu(), to(_inputs(*sizes), dtype)[5][~moving].cpu())
    assert_close_as_torch(own[5][moving], inputs[5][moving], wide[5][moving])


@pytest.mark.parametrize("backend", ["reference", *names("mask_render")])
def test_a_poisoned_slot_stays_alone_and_silence_stays_silent(backend: str) -> None:
    gains, spectrum, added, band, window, tail = to(_inputs(2, 2, 12, 3), torch.float32, backend)
    gains[1], spectrum[2], added[2], tail[2] = torch.nan, 0.0, 0.0, 0.0
    sound = load("mask_render", backend)(gains, spectrum, added, band, window, tail)
    assert sound[0].isfinite().all() and sound[1].isnan().all() and (sound[2] == 0).all()
    assert tail[0].isfinite().all() and tail[1].isnan().all() and (tail[2] == 0).all()


@pytest.mark.parametrize("backend", names("mask_render"))
def test_a_tail_that_is_a_part_of_something_is_refused(backend: str) -> None:
    inputs = to(_inputs(2, 2, 12, 3), torch.float32, backend)
    inputs[5] = inputs[5].mT.contiguous().mT
    with pytest.raises(ValueError, match="contiguous"):
        load("mask_render", backend)(*inputs)


@pytest.mark.parametrize("backend", names("mask_render"))
def test_parts_of_larger_tensors_are_read_as_they_are(backend: str) -> None:
    call, inputs = load("mask_render", backend), _inputs(2, 2, 12, 3)
    whole, own = to(inputs, torch.float32, backend), to(inputs, torch.float32, backend)
    parts = [torch.stack((x, torch.zeros_like(x)), -1)[..., 0] for x in own[:5]]
    assert torch.equal(call(*parts, own[5]), call(*whole)) and torch.equal(own[5], whole[5])
