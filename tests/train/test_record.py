"""Passes recorded as CUDA graphs give the gradients of those that are not; on a CPU they are not recorded."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from streamsep.model.trunk import Trunk, TrunkOutput
from streamsep.train.record import TrunkPass
from tests.model.small import SMALL


def heard(seed: int, batch: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.randn(batch, 12, 2, 2, 961, 2, generator=generator)
    return torch.view_as_complex(spectrum), torch.randint(0, 4, (batch,), generator=generator)


def gradients(trunk: Trunk, found: TrunkOutput) -> dict[str, Tensor]:
    trunk.zero_grad()
    (found.logits.square().mean() + found.tokens.square().mean()).backward()
    return {name: p.grad.clone() for name, p in trunk.named_parameters() if p.grad is not None}


def test_on_a_cpu_it_is_called_as_it_is() -> None:
    trunk, cpu = Trunk(SMALL.condition).train(), torch.device("cpu")
    assert torch.equal(TrunkPass(trunk, torch.float32, False, cpu)(*heard(0)).logits, trunk(*heard(0)).logits)
    with torch.autocast("cpu", torch.bfloat16):
        expected = trunk(*heard(0)).logits
    assert torch.equal(TrunkPass(trunk, torch.bfloat16, False, cpu)(*heard(0)).logits, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("compiled", [False, True])
def test_recorded_passes_give_the_same_gradients(compiled: bool) -> None:
    gpu = torch.device("cuda")
    plain = Trunk(SMALL.condition).to(gpu).train()
    nn.init.normal_(plain.guide.weight, std=0.02)
    trunk = deepcopy(plain)
    recorded = TrunkPass(trunk, torch.float32, compiled, gpu)
    for seed in range(3):  # each with other inputs and other weights
        inputs = tuple(x.to(gpu) for x in heard(seed))
        expected, found = gradients(plain, plain(*inputs)), gradients(trunk, recorded(*inputs))
        assert expected.keys() == found.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5)
        with torch.no_grad():
            for mine, other in zip(plain.parameters(), trunk.parameters(), strict=True):
                step = 1e-3 * torch.randn_like(mine)
                mine.add_(step)
                other.add_(step)
    shorter = tuple(x.to(gpu) for x in heard(9, batch=2))
    torch.testing.assert_close(recorded(*shorter).logits, plain(*shorter).logits, rtol=1e-3, atol=1e-4)
