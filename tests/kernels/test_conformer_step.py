"""The Conformer step of every backend against its reference: at most twice the error of plain torch."""

from __future__ import annotations

import pytest
import torch

from kernels.reference.conformer_step import ConformerWeights, conformer_step
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

N, D, H, M, W = 3, 24, 2, 20, 7


def _weights(kernel: int) -> ConformerWeights:
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5

    norm = [1 + rand(D) for _ in range(6)]
    return ConformerWeights(
        norm[0], rand(2 * M, D), rand(D, M), norm[1], rand(3 * D, D), rand(D, D), rand(H, W), norm[2], rand(2 * D, D),
        rand(kernel, D), norm[3], rand(D, D), norm[4], rand(3 * D, D), rand(D, D), norm[5], rand(2 * M, D), rand(D, M),
    )  # fmt: skip


def _inputs(positions: list[int], kernel: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(len(positions))
    slots, position = len(positions), torch.tensor(positions)
    x = torch.randn(slots, N, D, generator=generator)
    rings = torch.randn(2, slots, N, H, W, D // H, generator=generator)
    unwritten = torch.arange(W) >= position.unsqueeze(1)
    rings.masked_fill_(unwritten[None, :, None, None, :, None], torch.nan)
    return x, rings[0].clone(), rings[1].clone(), torch.randn(slots, N, kernel - 1, D, generator=generator), position


def _weights_in(kernel: int, dtype: torch.dtype, backend: str = "reference") -> ConformerWeights:
    return ConformerWeights(*to(_weights(kernel), dtype, backend))


@pytest.mark.parametrize("kernel", [1, 2, 5])
@pytest.mark.parametrize("positions", [[0], [3], [6], [7], [2**40], [0, 5, 6, 7, 1000]])
@pytest.mark.parametrize(("backend", "dtype"), backends("conformer_step"))
def test_error_is_at_most_twice_that_of_torch(
    backend: str, dtype: torch.dtype, positions: list[int], kernel: int
) -> None:
    inputs = to(_inputs(positions, kernel), dtype)
    plain_inputs, own = to(inputs, dtype), to(inputs, dtype, backend)
    exact = conformer_step(_weights_in(kernel, torch.float64), *to(inputs, torch.float64))
    plain = conformer_step(_weights_in(kernel, dtype), *plain_inputs)
    ours = load("conformer_step", backend)(_weights_in(kernel, dtype, backend), *own)
    assert_close_as_torch(ours, plain, exact)
    near = max(1e-5, 16 * torch.finfo(dtype).eps)
    for a, b in zip(plain_inputs[1:4], own[1:4], strict=True):
        torch.testing.assert_close(a.cpu(), b.cpu(), atol=near, rtol=near, equal_nan=True)


@pytest.mark.parametrize("backend", [*names("conformer_step"), "reference"])
def test_inactive_slots_keep_their_state_and_poison_nobody(backend: str) -> None:
    step, weights = load("conformer_step", backend), _weights_in(5, torch.float32, backend)
    x, key, value, past, position = to(_inputs([4, 9, 5], 5), torch.float32, backend)
    alone = [t[1:2].clone() for t in (x, key, value, past, position)]
    expected = step(weights, *alone)
    x[0], x[2] = torch.nan, torch.nan
    before = [t.clone() for t in (key, value, past)]
    y = step(weights, x, key, value, past, position, torch.tensor([False, True, False], device=x.device))
    torch.testing.assert_close(y[1:2], expected, atol=1e-6, rtol=1e-6)
    for now, then in zip((key, value, past), before, strict=True):
        for slot in (0, 2):
            torch.testing.assert_close(now[slot], then[slot], atol=0, rtol=0, equal_nan=True)
        assert not torch.equal(now[1], then[1])


@pytest.mark.parametrize("backend", names("conformer_step"))
def test_other_precisions_are_refused(backend: str) -> None:
    weights = _weights_in(1, torch.float32, backend)
    with pytest.raises(TypeError, match="float32"):
        load("conformer_step", backend)(weights, *to(_inputs([0], 1), torch.float64, backend))
