"""The compiled Conformer step against its reference: at most twice the error of plain torch in the same precision."""

from __future__ import annotations

import pytest
import torch

from kernels.numba.conformer_step import conformer_step as fast
from kernels.reference.conformer_step import ConformerWeights, conformer_step

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


@pytest.mark.parametrize("kernel", [1, 2, 5])
@pytest.mark.parametrize("positions", [[0], [3], [6], [7], [2**40], [0, 5, 6, 7, 1000]])
def test_error_is_at_most_twice_that_of_torch(positions: list[int], kernel: int) -> None:
    weights = _weights(kernel)
    x, key, value, past, position = _inputs(positions, kernel)
    states = [[t.clone() for t in (key, value, past)] for _ in range(2)]
    double = ConformerWeights(*(w.double() for w in weights))
    exact = conformer_step(double, x.double(), key.double(), value.double(), past.double(), position)
    plain = conformer_step(weights, x, *states[0], position)
    ours = fast(weights, x, *states[1], position)
    floor = torch.finfo(torch.float32).eps * exact.abs().max()
    assert (ours - exact).abs().max() <= 2 * (plain - exact).abs().max() + floor
    for a, b in zip(*states, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5, equal_nan=True)


@pytest.mark.parametrize("step", [fast, conformer_step])
def test_inactive_slots_keep_their_state_and_poison_nobody(step: object) -> None:
    assert callable(step)
    weights = _weights(5)
    x, key, value, past, position = _inputs([4, 9, 5], 5)
    alone = [t[1:2].clone() for t in (x, key, value, past, position)]
    expected = step(weights, *alone)
    x[0], x[2] = torch.nan, torch.nan
    before = [t.clone() for t in (key, value, past)]
    y = step(weights, x, key, value, past, position, torch.tensor([False, True, False]))
    torch.testing.assert_close(y[1:2], expected, atol=1e-6, rtol=1e-6)
    for now, then in zip((key, value, past), before, strict=True):
        for slot in (0, 2):
            torch.testing.assert_close(now[slot], then[slot], atol=0, rtol=0, equal_nan=True)
        assert not torch.equal(now[1], then[1])


def test_other_precisions_are_refused() -> None:
    weights = _weights(1)
    with pytest.raises(TypeError, match="float32"):
        fast(weights, *(t.double() for t in _inputs([0], 1)))
