import math

import torch

from kernels.reference import softmax_mean, swiglu


def test_swiglu_is_the_formula() -> None:
    x = torch.randn(3, 10, dtype=torch.float64)
    gate, up = x[:, :5], x[:, 5:]
    torch.testing.assert_close(swiglu(x), gate / (1 + torch.exp(-gate)) * up)


def test_mean_and_entropy_of_a_certain_and_an_uncertain_posterior() -> None:
    table = torch.randn(16, 4)
    certain = torch.full((16,), -1e4)
    certain[3] = 0
    mean, entropy = softmax_mean(torch.stack((certain, torch.zeros(16))), table)
    torch.testing.assert_close(mean, torch.stack((table[3], table.mean(0))))
    torch.testing.assert_close(entropy, torch.tensor([0.0, math.log(16)]))


def test_temperature_sharpens() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, table = torch.randn(5, 16, generator=generator), torch.randn(16, 4, generator=generator)
    mean, _ = softmax_mean(logits, table, temperature=1e-3)
    torch.testing.assert_close(mean, table[logits.argmax(-1)], atol=1e-3, rtol=0)
