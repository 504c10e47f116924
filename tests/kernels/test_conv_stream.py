"""Convolution with carried state: every backend against the reference, chunks against the whole."""

from __future__ import annotations

import pytest
import torch

from kernels.reference.conv_stream import conv_stream
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to


def _inputs(lengths: list[int], frames: int, dim: int, kernel: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(frames * dim)
    x = torch.randn(len(lengths), frames, dim, generator=generator)
    past = torch.randn(len(lengths), kernel - 1, dim, generator=generator)
    return [x, past, torch.randn(kernel, dim, generator=generator), torch.tensor(lengths)]


@pytest.mark.parametrize("kernel", [1, 2, 5])
@pytest.mark.parametrize(("lengths", "frames"), [([1], 1), ([0, 1, 1], 1), ([7, 3, 0, 1], 7)])
@pytest.mark.parametrize("dim", [3, 131])
@pytest.mark.parametrize(("backend", "dtype"), backends("conv_stream"))
def test_error_is_that_of_torch(
    backend: str, dtype: torch.dtype, dim: int, lengths: list[int], frames: int, kernel: int
) -> None:
    inputs = to(_inputs(lengths, frames, dim, kernel), dtype)
    wide, own = to(inputs, torch.float64), to(inputs, dtype, backend)
    before = own[1].clone()
    exact, plain, ours = conv_stream(*wide), conv_stream(*inputs), load("conv_stream", backend)(*own)
    for slot, length in enumerate(lengths):
        if length:
            assert_close_as_torch(ours[slot, :length], plain[slot, :length], exact[slot, :length])
        else:
            assert torch.equal(own[1][slot], before[slot])
    assert torch.equal(own[1].cpu(), inputs[1].cpu())


@pytest.mark.parametrize("backend", ["reference", *names("conv_stream")])
def test_chunks_equal_the_whole(backend: str) -> None:
    x, _, weight, _ = _inputs([13], 13, 6, 5)
    whole = conv_stream(x, torch.zeros(1, 4, 6), weight, torch.tensor([13]))
    past = to([torch.zeros(1, 4, 6)], torch.float32, backend)[0]
    parts = []
    for start, stop in [(0, 1), (1, 3), (3, 10), (10, 13)]:
        part, kernel, length = to([x[:, start:stop], weight, torch.tensor([stop - start])], torch.float32, backend)
        parts.append(load("conv_stream", backend)(part, past, kernel, length))
    torch.testing.assert_close(torch.cat(parts, 1).cpu(), whole, atol=1e-6, rtol=1e-5)
