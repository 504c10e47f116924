"""Bands of a frame: every backend against the reference in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.reference.band_embedding import BandWeights, band_embedding
from tests.kernels.backends import DEVICE, assert_close_as_torch, backends, load, names, to

ACTIVE = torch.tensor([True, False, True])
STRIDED = torch.stack((ACTIVE, ~ACTIVE), 1)[:, 0]
REAL = (0, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 72, 80, 96, 112, 128, 144, 160, 176, 208, 240, 272, 304, 336, 400, 464, 528, 744, 961)  # fmt: skip  # noqa: E501
# Edges, bins that are resolved, outputs, columns
SHAPES = {
    "primes": ((0, 3, 5, 18, 55, 61), 18, 7, 4),
    "whole blocks": ((0, 16, 48), 48, 16, 8),
    "within a band": ((0, 3, 5, 18, 55, 61), 21, 33, 6),
    "nothing resolved": ((0, 1, 2, 35), 0, 5, 0),
    "real": (REAL, 176, 32, 8),
}
Given = tuple[BandWeights, tuple[int, ...], Tensor, Tensor, Tensor | None]


def _given(shape: str, slots: int = 3) -> Given:
    edges, low, dim, columns = SHAPES[shape]
    generator = torch.Generator().manual_seed(edges[-1])

    def rand(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    bands, bins = len(edges) - 1, edges[-1]
    weights = BandWeights(
        *(0.2 * rand(bins * 6, dim), 0.2 * rand(low * 8, dim)),
        *(rand(bands, dim), 1 + 0.3 * rand(dim), rand(bands, dim), 0.3 * rand(2 * columns, 8)),
    )
    spectrum = torch.view_as_complex(rand(slots, 2, 2, bins, 2)) * torch.logspace(-3, 1, bins)
    past = rand(slots, columns // 2 - 1, 2, 2, low, 2) if low else None
    return weights, edges, spectrum, 0.1 + rand(slots).square(), past


def _to(given: Given, dtype: torch.dtype, backend: str = "reference") -> Given:
    weights, edges, spectrum, *rest = given
    [moved] = to([spectrum], dtype, backend)
    level, past = to(rest, dtype, backend)
    wide = moved.to(torch.complex128) if dtype == torch.float64 else moved
    return BandWeights(*to(weights, dtype, backend)), edges, wide, level, past


@pytest.mark.parametrize("active", [None, ACTIVE, STRIDED], ids=["all", "some", "strided"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("backend", "dtype"), backends("band_embedding"))
def test_error_is_that_of_torch(backend: str, dtype: torch.dtype, shape: str, active: Tensor | None) -> None:
    if (shape, backend, DEVICE) == ("real", "triton", "cpu") and (active is not None or dtype != torch.float32):
        pytest.skip("the interpreter takes its time")
    given = _to(_given(shape), dtype)
    wide, own = _to(given, torch.float64), _to(given, dtype, backend)
    before = None if own[4] is None else own[4].clone()
    mask, own_mask = to([active], dtype)[0], to([active], dtype, backend)[0]
    exact, plain = band_embedding(*wide, mask), band_embedding(*given, mask)
    ours = load("band_embedding", backend)(*own, own_mask)
    moving = ACTIVE if active is not None else torch.ones(3, dtype=torch.bool)
    assert_close_as_torch(ours[moving], plain[moving], exact[moving], roundings=2)
    if before is not None and own[4] is not None and given[4] is not None:
        assert torch.equal(own[4][~moving], before[~moving])
        assert torch.equal(own[4].cpu()[moving], given[4].cpu()[moving])


def _poison(values: Any, slot: int, value: float) -> None:
    for x in values:
        if isinstance(x, Tensor):
            x[slot] = value


@pytest.mark.parametrize("backend", ["reference", *names("band_embedding")])
@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_a_poisoned_slot_stays_alone_and_silence_stays_finite(backend: str, poison: float) -> None:
    given = _to(_given("primes"), torch.float32, backend)
    clean = _to(_given("primes"), torch.float32, backend)
    _poison((given[2], given[4]), 1, poison)
    _poison((given[2], given[4]), 2, 0.0)
    given[3][2] = 1e-9
    function = load("band_embedding", backend)
    y, alone = function(*given), function(*clean)
    assert y[1].isnan().any(-1).all()
    assert torch.equal(y[0], alone[0]) and y[2].isfinite().all()
    assert given[4] is not None and given[4][0].isfinite().all() and (given[4][2] == 0).all()


@pytest.mark.parametrize("backend", ["reference", *names("band_embedding")])
def test_a_band_hears_its_own_bins_alone(backend: str) -> None:
    edges = SHAPES["primes"][0]
    ends = [(n, bin_) for n in range(len(edges) - 1) for bin_ in (edges[n], edges[n + 1] - 1)]
    given = _to(_given("primes", 1 + len(ends)), torch.float32, backend)
    for x in (*given[2:4], given[4]):
        assert x is not None
        x[:] = x[:1].clone()
    for slot, (_, bin_) in enumerate(ends, 1):
        given[2][slot, ..., bin_] *= 3
    y = load("band_embedding", backend)(*given)
    changed = [((each - y[0]).abs() > 1e-4).any(-1).nonzero().flatten().tolist() for each in y[1:]]
    assert changed == [[n] for n, _ in ends]


@pytest.mark.parametrize("backend", names("band_embedding"))
def test_what_cannot_be_moved_is_refused(backend: str) -> None:
    weights, edges, spectrum, level, past = _to(_given("primes"), torch.float32, backend)
    assert past is not None
    function = load("band_embedding", backend)
    with pytest.raises(ValueError, match="contiguous"):
        function(weights, edges, spectrum, level, past.mT.contiguous().mT)
    with pytest.raises(TypeError, match="complex64"):
        function(weights, edges, spectrum.to(torch.complex128), level, past)
