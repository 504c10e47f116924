import torch

from kernels.reference import rms_norm


def test_is_the_formula_in_float64() -> None:
    x = torch.randn(5, 3, 32, dtype=torch.float64)
    weight = torch.randn(32, dtype=torch.float64)
    expected = torch.nn.functional.rms_norm(x, (32,), weight, 1e-6)
    torch.testing.assert_close(rms_norm(x, weight), expected)


def test_gradient_is_right() -> None:
    x = torch.randn(4, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rms_norm, (x, weight))


def test_bfloat16_takes_its_mean_in_float32() -> None:
    x = (torch.randn(4, 4096) * 30).bfloat16()
    y = rms_norm(x, torch.ones(4096))
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float().square().mean(-1), torch.ones(4), atol=0.01, rtol=0)


def test_silence_stays_silence() -> None:
    x = torch.zeros(2, 16, requires_grad=True)
    rms_norm(x, torch.ones(16)).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
