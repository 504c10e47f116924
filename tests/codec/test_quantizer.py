import pytest
import torch
from torch import Tensor

from streamsep.codec.quantizer import ResidualVQ, k_means, nearest

K, C = 32, 8


def _rows(count: int = 2048, seed: int = 1) -> Tensor:
    """Rows around 40 centres."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(40, C, generator=torch.Generator().manual_seed(7)) * 2
    pick = torch.randint(40, (count,), generator=generator)
    return centres[pick] + 0.3 * torch.randn(count, C, generator=generator)


def _trained(steps: int = 40, **options: float) -> ResidualVQ:
    quantizer = ResidualVQ(4, K, C, **options)
    for i in range(steps):
        quantizer(_rows(seed=i))
    return quantizer.eval()


def test_nearest_is_the_nearest() -> None:
    rows, table = torch.randn(50, C), torch.randn(K, C)
    assert torch.equal(nearest(rows, table), torch.cdist(rows, table).argmin(-1))


def test_error_falls_with_each_codebook() -> None:
    quantizer, rows = _trained(), _rows(seed=99)
    codes = quantizer.encode(rows)
    power = [rows.square().mean()]
    power += [(rows - quantizer.decode(codes[:, :q])).square().mean() for q in range(1, 5)]
    ratios = [float(b / a) for a, b in zip(power, power[1:], strict=False)]
    assert ratios[0] < 0.2 and all(r < 0.75 for r in ratios[1:]), ratios


def test_forward_encode_and_decode_agree() -> None:
    quantizer, rows = _trained(), _rows(seed=99).view(4, 8, 64, C)
    out = quantizer(rows)
    codes = quantizer.encode(rows)
    assert torch.equal(out.codes, codes) and codes.shape == (4, 8, 64, 4)
    assert torch.equal(codes[..., :2], quantizer.encode(rows, 2))
    torch.testing.assert_close(quantizer.decode(codes), out.latent, atol=1e-5, rtol=0)
    torch.testing.assert_close(rows - out.latent, out.residual, atol=1e-5, rtol=0)


def test_eval_moves_nothing() -> None:
    quantizer = _trained(3)
    before = {name: b.clone() for name, b in quantizer.named_buffers()}
    first, second = quantizer(_rows()), quantizer(_rows())
    assert torch.equal(first.codes, second.codes)
    assert all(torch.equal(before[name], b) for name, b in quantizer.named_buffers())


def test_dead_entries_come_back() -> None:
    quantizer = _trained(1, decay=0.8).train()
    with torch.no_grad():
        quantizer.vectors[0, 1:] = 1e3  # out of everyone's reach
        quantizer.counts[0, 1:] = 0
    assert torch.unique(quantizer.eval().encode(_rows())[:, 0]).numel() == 1
    quantizer.train()
    for i in range(30):
        quantizer(_rows(seed=i))
    assert torch.unique(quantizer.eval().encode(_rows())[:, 0]).numel() > K // 2
    assert quantizer.perplexity()[0] > K // 3


def test_perplexity_of_even_and_of_single_use() -> None:
    quantizer = ResidualVQ(2, K, C)
    quantizer.counts[1] = 0
    quantizer.counts[1, 3] = 5
    torch.testing.assert_close(quantizer.perplexity(), torch.tensor([float(K), 1.0]))


def test_light_rows_take_few_entries() -> None:
    rows = torch.cat([_rows(), torch.randn(20_000, C) * 0.1 + 9])
    weight = torch.cat([torch.ones(2048), torch.full((20_000,), 1e-3)])
    quantizer = ResidualVQ(2, K, C)
    for _ in range(20):
        quantizer(rows, weight)
    codes = quantizer.eval().encode(rows[2048:])[:, 0]
    assert torch.unique(codes).numel() <= 2
    assert (rows[2048:] - quantizer.decode(codes[:, None])).square().mean() < 0.1


def test_gradient_passes_straight_through_and_never_reaches_codebooks() -> None:
    quantizer = ResidualVQ(3, K, C)
    rows = _rows().requires_grad_()
    direction = torch.randn(2048, C)
    out = quantizer(rows)
    (grad,) = torch.autograd.grad((out.latent * direction).sum(), rows, retain_graph=True)
    assert torch.equal(grad, direction)
    (grad,) = torch.autograd.grad(out.loss, rows)
    # One step against the commitment loss moves rows towards what stands for them.
    moved = rows - 100 * grad
    assert (moved - out.latent).square().sum() < (rows - out.latent).square().sum()
    assert not list(quantizer.parameters())


def test_dropout_shortens_some_rows_and_only_in_training() -> None:
    quantizer, rows = _trained(5, dropout=0.5), _rows()
    whole = quantizer.decode(quantizer.encode(rows))
    torch.testing.assert_close(quantizer(rows).latent, whole, atol=1e-5, rtol=0)
    quantizer.train()
    short = ((quantizer(rows).latent - whole).abs().amax(-1) > 1e-4).float().mean()
    assert 0.2 < short < 0.6


@pytest.mark.parametrize("rows", [torch.zeros(200, C), torch.ones(5, C)])
def test_nothing_to_tell_apart_is_fine(rows: Tensor) -> None:
    quantizer = ResidualVQ(3, K, C)
    for _ in range(3):
        out = quantizer(rows, torch.zeros(len(rows)))
    assert quantizer.vectors.isfinite().all() and quantizer.counts.isfinite().all() and out.loss.isfinite()
    torch.testing.assert_close(out.latent, rows, atol=1e-4, rtol=0)


def test_k_means_serves_every_row() -> None:
    table, count = k_means(_rows(), torch.ones(2048), K)
    assert count.sum() == 2048 and (count > 0).float().mean() > 0.9
    assert (_rows() - table[nearest(_rows(), table)]).square().mean() < 1.0
