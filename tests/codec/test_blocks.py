import torch

from streamsep.codec.blocks import ConvNeXt
from streamsep.codec.decoder import BandSpread
from streamsep.codec.phase import rotate_to_next, unit
from streamsep.codec.stft import STFT
from streamsep.condition.bands import BandLinear
from streamsep.config import BINS, FRAME, SAMPLE_RATE, TRUNK_BANDS, trunk_edges


def test_convnext_steps_are_the_sequence() -> None:
    net, x = ConvNeXt(8, 2, 4, 3), torch.randn(2, 9, 8)
    whole, state = net(x), net.init_state(2)
    for t in range(9):
        torch.testing.assert_close(net.step(x[:, t], state), whole[:, t], atol=1e-5, rtol=0)


def test_spread_gives_each_bin_to_its_own_band() -> None:
    spread = BandSpread(3, 2)
    for weight in spread.weights:
        torch.nn.init.normal_(weight)
    x = torch.randn(1, TRUNK_BANDS, 3, requires_grad=True)
    out = spread(x)
    assert out.shape == (1, BINS, 2)
    edges = trunk_edges()
    for band in (0, 7, 8, 22, 28, 29):
        for b in (edges[band], edges[band + 1] - 1):
            (grad,) = torch.autograd.grad(out[0, b].sum(), x, retain_graph=True)
            assert grad[0].abs().sum(-1).nonzero().flatten().tolist() == [band]


def test_spread_reaches_the_bins_that_fold_reads() -> None:
    fold, spread = BandLinear(1, 1), BandSpread(1, 1)
    x = torch.zeros(1, BINS, 1, requires_grad=True)
    tokens = fold(x)
    for band in (0, 9, 28, 29):
        (grad,) = torch.autograd.grad(tokens[0, band].sum(), x, retain_graph=True)
        read = grad[0, :, 0].nonzero().flatten()
        with torch.no_grad():
            for weight in spread.weights:
                weight.fill_(1.0)
        given = spread(torch.eye(TRUNK_BANDS)[band][None, :, None])[0, :, 0].nonzero().flatten()
        assert torch.equal(read, given)


def test_a_tone_in_the_middle_of_a_bin_stands_still_in_the_turning_frame() -> None:
    bins = torch.tensor([40.0, 41.0, 333.0])
    time = torch.arange(5 * FRAME) / SAMPLE_RATE
    columns = STFT()(torch.sin(2 * torch.pi * bins[:, None] * SAMPLE_RATE / (2 * (BINS - 1)) * time))
    phase = unit(columns[:, 2:])
    turned = rotate_to_next(phase)
    for i, b in enumerate(bins.int().tolist()):
        torch.testing.assert_close(turned[i, :-1, b], phase[i, 1:, b], atol=1e-3, rtol=0)


def test_direction_of_nothing_is_nothing() -> None:
    z = torch.zeros(3, dtype=torch.complex64, requires_grad=True)
    u = unit(z)
    (grad,) = torch.autograd.grad(u.real.sum(), z)
    assert (u == 0).all() and torch.view_as_real(grad).isfinite().all()
