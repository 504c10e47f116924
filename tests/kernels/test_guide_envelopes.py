"""Masks and envelopes of the guide: every backend against the reference in float64."""

from __future__ import annotations

import pytest
import torch

from kernels.reference.guide_envelopes import guide_envelopes
from streamsep.config import envelope_edges
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

Sizes = tuple[int, int, int, tuple[int, ...]]  # slots, stems, columns, edges
REAL: Sizes = (1, 4, 2, envelope_edges())
SIZES: list[Sizes] = [(1, 1, 1, (0, 1)), (2, 3, 1, (0, 2, 3, 10)), (3, 5, 3, (0, 40, 41, 43, 90, 97)), REAL]


def _inputs(slots: int, stems: int, columns: int, edges: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(stems)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    spectrum = torch.view_as_complex(rand(slots, 2, columns, edges[-1], 2))
    return [3 * rand(slots, stems, 2, columns, len(edges) - 1), spectrum, rand(slots).exp(), torch.tensor(edges)]


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{len(sizes[3]) - 1}-bands")
@pytest.mark.parametrize(("backend", "dtype"), backends("guide_envelopes"))
def test_error_is_that_of_torch(backend: str, dtype: torch.dtype, sizes: Sizes) -> None:
    inputs = to(_inputs(*sizes), dtype)
    exact, plain = guide_envelopes(*to(inputs, torch.float64)), guide_envelopes(*inputs)
    ours = load("guide_envelopes", backend)(*to(inputs, dtype, backend))
    for got, torchs, true in zip(ours, plain, exact, strict=True):
        assert_close_as_torch(got, torchs, true)


@pytest.mark.parametrize("backend", ["reference", *names("guide_envelopes")])
def test_masks_are_shares_a_poisoned_slot_stays_alone_and_silence_is_the_floor(backend: str) -> None:
    logits, spectrum, level, edges = to(_inputs(4, 3, 2, (0, 1, 5, 17)), torch.float32, backend)
    spectrum[1], logits[2], spectrum[3] = torch.nan, torch.nan, 0.0
    masks, envelopes = load("guide_envelopes", backend)(logits, spectrum, level, edges)
    torch.testing.assert_close(masks[0].sum(0), torch.ones_like(masks[0, 0]))
    assert envelopes[0].isfinite().all() and envelopes[1].isnan().all() and envelopes[2].isnan().all()
    torch.testing.assert_close(envelopes[3], torch.full_like(envelopes[3], -4 / 3))


@pytest.mark.parametrize("backend", names("guide_envelopes"))
def test_parts_of_larger_tensors_are_read_as_they_are(backend: str) -> None:
    call, inputs = load("guide_envelopes", backend), to(_inputs(3, 3, 2, (0, 1, 5, 17)), torch.float32, backend)
    parts = [torch.stack((x, torch.zeros_like(x)), -1)[..., 0] for x in inputs]
    assert all(torch.equal(a, b) for a, b in zip(call(*parts), call(*inputs), strict=True))
