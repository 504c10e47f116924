"""Losses, averages, schedule and optimizer, each against what it is defined by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from streamsep.codec.stft import STFT
from streamsep.data.mixing import MixingDataset
from streamsep.errors import OptionError
from streamsep.render.mask import to_bins
from streamsep.train.batches import batches, spectra
from streamsep.train.ema import EMA
from streamsep.train.loop import learning_rate, rate_groups
from streamsep.train.losses import band_statistics, error_energy, share_loss, window_snr_loss
from streamsep.train.muon import Muon, orthogonalize, split_parameters
from streamsep.train.precision import autocast, training_dtype
from streamsep.train.recipe import StageConfig


def test_error_energy_is_the_energy_of_the_error() -> None:
    generator = torch.Generator().manual_seed(0)
    found = spectra(torch.randn(2, 4, 2, 5 * 1_920, generator=generator), STFT())
    masks = torch.rand(2, 5, 4, 2, 2, 120, generator=generator)
    error = error_energy(masks, band_statistics(found))
    wrong = to_bins(masks) * found.mixture.unsqueeze(2) - found.stems
    torch.testing.assert_close(error.sum(-1), wrong.abs().square().sum(-1), rtol=1e-3, atol=1e-2)


def test_true_masks_are_better_than_even_ones() -> None:
    generator = torch.Generator().manual_seed(1)
    found = spectra(torch.randn(1, 4, 2, 25 * 1_920, generator=generator) * torch.rand(1, 4, 1, 1), STFT())
    stats = band_statistics(found)
    valid = torch.ones(1, 25, dtype=torch.bool)
    even = torch.full_like(stats.stem, 0.25)
    true = stats.stem / stats.stem.sum(2, keepdim=True)
    snr = [float(window_snr_loss(error_energy(m, stats), stats, valid, 25)) for m in (true, even)]
    share = [float(share_loss(m.log(), stats, valid)) for m in (true, even)]
    assert snr[0] < snr[1]
    assert share[0] < share[1] == pytest.approx(torch.log(torch.tensor(4.0)).item(), rel=1e-3)


def test_silence_gives_finite_losses() -> None:
    found = spectra(torch.zeros(1, 4, 2, 25 * 1_920), STFT())
    stats = band_statistics(found)
    logs = torch.zeros_like(stats.stem, requires_grad=True)
    valid = torch.ones(1, 25, dtype=torch.bool)
    loss = window_snr_loss(error_energy(logs.exp(), stats), stats, valid, 25) + share_loss(logs, stats, valid)
    loss.backward()
    assert torch.isfinite(loss)
    assert logs.grad is not None and torch.isfinite(logs.grad).all()


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 5, 17), (2, 31, 7)])
def test_orthogonalize_evens_out_singular_values(shape: tuple[int, int, int]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    values = torch.linalg.svdvals(orthogonalize(x))
    assert float(values.min()) > 0.4
    assert float(values.max()) < 1.4


def test_orthogonalize_works_in_bfloat16() -> None:
    x = torch.randn(2, 16, 40, generator=torch.Generator().manual_seed(4))
    values = torch.linalg.svdvals(orthogonalize(x.bfloat16()).float())
    assert float(values.min()) > 0.4
    assert float(values.max()) < 1.4


def test_precisions_are_named_and_autocast_follows() -> None:
    cpu = torch.device("cpu")
    assert training_dtype("float32", cpu) == torch.float32
    assert training_dtype("bfloat16", cpu) == torch.bfloat16
    assert training_dtype("auto", cpu) in (torch.float32, torch.bfloat16)
    with pytest.raises(OptionError, match="unknown precision 'half'; choose one of auto, float32, bfloat16"):
        training_dtype("half", cpu)
    x = torch.randn(3, 3)
    for dtype in (torch.float32, torch.bfloat16):
        with autocast(dtype, cpu):
            assert (x @ x).dtype == dtype


def test_muon_solves_a_linear_problem() -> None:
    torch.manual_seed(3)
    net, target = nn.Linear(6, 4, bias=False), torch.randn(4, 6)
    matrices, others = split_parameters(net)
    assert [p is net.weight for p in matrices] == [True] and not others
    optimizer = Muon(matrices, lr=0.1)
    first = float((net.weight - target).norm().detach())
    for _ in range(100):
        optimizer.zero_grad()
        (net.weight - target).square().sum().backward()
        optimizer.step()
    assert float((net.weight - target).norm().detach()) < 0.2 * first


def test_the_rate_rises_stays_and_ends_at_zero() -> None:
    config = StageConfig(steps=100, warmup=10, decay=0.5)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9:51] == [1.0] * 42
    assert 0 < rates[99] < 0.03
    assert all(a >= b for a, b in zip(rates[50:], rates[51:], strict=False))


def test_parts_of_a_net_learn_at_rates_of_their_own() -> None:
    net = nn.ModuleDict({"slow": nn.Linear(2, 3), "fast": nn.Linear(2, 3), "faster": nn.Linear(2, 3)})
    _, others = split_parameters(net)
    groups = rate_groups(net, others, {"fast": 10.0})  # by whole names: 'faster' is another part
    assert [(len(group["params"]), group["times"]) for group in groups] == [(2, 1.0), (1, 10.0)]
    assert groups[1]["params"][0] is net["fast"].bias
    assert sorted(map(id, (p for group in groups for p in group["params"]))) == sorted(map(id, others))


def test_several_processes_give_the_batches_of_one_in_order(pool: Path) -> None:
    dataset = MixingDataset([pool], 10, 2, seed=4)
    for workers in (0, 1, 3):
        source = batches(dataset, 5, workers)
        for step in range(5, 10):
            assert np.array_equal(next(source).numpy(), dataset.batch(step))


def test_averages_follow_and_can_be_swapped_in_and_out() -> None:
    net = nn.Linear(2, 2)
    ema = EMA(net, 0.5)
    before = net.weight.detach().clone()
    with torch.no_grad():
        net.weight.add_(1.0)
    ema.update(net)
    ema.swap(net)
    assert torch.all(net.weight > before) and torch.all(net.weight < before + 1)
    ema.swap(net)
    torch.testing.assert_close(net.weight.detach(), before + 1)
