import math

import pytest
import torch

from kernels.reference import apply_rope, rope_frequencies, rope_rotation


@pytest.mark.parametrize("position", [0, 1, 12_345, 2**31 - 1, 2**32 + 7, 2**40 - 1])
def test_phase_is_exact_at_any_position(position: int) -> None:
    frequencies = rope_frequencies(32)
    cos, sin = rope_rotation(torch.tensor(position), frequencies)
    for i, k in enumerate(frequencies.tolist()):
        angle = 2 * math.pi * (position * k % 2**32) / 2**32  # Python's integers do not overflow
        assert cos[i].item() == pytest.approx(math.cos(angle), abs=1e-6)
        assert sin[i].item() == pytest.approx(math.sin(angle), abs=1e-6)


def test_product_depends_on_the_distance_only() -> None:
    frequencies = rope_frequencies(32)
    q, k = torch.randn(1, 32), torch.randn(1, 32)

    def product(start: int) -> torch.Tensor:
        rows = [apply_rope(x, *rope_rotation(torch.tensor(p), frequencies)) for x, p in ((q, start + 9), (k, start))]
        return (rows[0] * rows[1]).sum()

    for start in (1_000, 2**33 + 5, 2**40):
        torch.testing.assert_close(product(start), product(0), atol=2e-5, rtol=0)


def test_keeps_length_and_first_position() -> None:
    frequencies = rope_frequencies(8)
    x = torch.randn(6, 3, 8)
    y = apply_rope(x, *rope_rotation(torch.arange(6), frequencies))
    torch.testing.assert_close(y.norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(y[0], x[0])


def test_odd_head_size_is_refused() -> None:
    with pytest.raises(ValueError, match="even head size"):
        rope_frequencies(7)
