"""Residual vector quantization: every backend gives the reference's codes and latents."""

from __future__ import annotations

import pytest
import torch

from kernels.reference.rvq_decode import rvq_decode
from kernels.reference.rvq_encode import rvq_encode
from tests.kernels.backends import assert_close_as_torch, load, names, to


def _tables(codebooks: int, size: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(size)
    scale = 0.5 ** torch.arange(codebooks)
    return torch.randn(codebooks, size, width, generator=generator) * scale[:, None, None]


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 4, 67, 16), (37, 3, 130, 11)])
@pytest.mark.parametrize("backend", names("rvq_encode"))
def test_codes_and_latents(backend: str, shape: tuple[int, ...]) -> None:
    rows, codebooks, size, width = shape
    tables = _tables(codebooks, size, width)
    latents = torch.randn(rows, width, generator=torch.Generator().manual_seed(1))
    expected = rvq_encode(latents, tables)
    codes = load("rvq_encode", backend)(*to([latents, tables], torch.float32, backend))
    assert torch.equal(codes.cpu(), expected)
    decoded = load("rvq_decode", backend)(*to([expected, tables], torch.float32, backend))
    assert_close_as_torch(decoded, rvq_decode(expected, tables), rvq_decode(expected, tables.double()))


@pytest.mark.parametrize("backend", ["reference", *names("rvq_encode")])
def test_more_codebooks_come_closer_and_fewer_can_be_decoded(backend: str) -> None:
    tables = _tables(4, 64, 4)
    latents = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    codes = load("rvq_encode", backend)(*to([latents, tables], torch.float32, backend))
    decode = load("rvq_decode", backend)
    table = to([tables], torch.float32, backend)[0]
    errors = [(decode(codes[:, :q].contiguous(), table).cpu() - latents).square().mean().item() for q in (1, 2, 4)]
    assert errors[0] > errors[1] > errors[2]
