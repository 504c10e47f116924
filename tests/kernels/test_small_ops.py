import torch

from kernels.reference import swiglu


def test_swiglu_is_the_formula() -> None:
    x = torch.randn(3, 10, dtype=torch.float64)
    gate, up = x[:, :5], x[:, 5:]
    torch.testing.assert_close(swiglu(x), gate / (1 + torch.exp(-gate)) * up)
