import torch

from streamsep.lm import Corruption, corrupt_history


def _codes() -> torch.Tensor:
    return torch.randint(512, (200, 60, 4, 4), generator=torch.Generator().manual_seed(0))


def _run(corruption: Corruption, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    return corrupt_history(_codes(), 512, torch.Generator().manual_seed(seed), corruption)


def test_shares_are_met() -> None:
    codes = _codes()
    damaged, present = _run(Corruption(replace=0.25, drop=0.15, drop_stem=0.1, drop_span=0))
    assert abs((damaged != codes).float().mean() - 0.25) < 0.03
    assert damaged.min() >= 0 and damaged.max() < 512
    assert abs((~present).all(2).all(1).float().mean() - 0.15) < 0.07
    assert abs((~present).float().mean() - (1 - 0.85 * 0.9)) < 0.06
    rates = (damaged != codes).float().mean((1, 2, 3))
    assert rates.min() < 0.05 and rates.max() > 0.4


def test_half_of_the_replacements_come_from_another_stem() -> None:
    codes = _codes()
    damaged, _ = _run(Corruption())
    wrong = damaged != codes
    elsewhere = torch.stack([codes.roll(i, dims=2) == damaged for i in (1, 2, 3)]).any(0)
    assert abs(elsewhere[wrong].float().mean() - 0.5) < 0.03


def test_spans_are_bounded_stretches() -> None:
    damaged, present = _run(Corruption(replace=0, drop=0, drop_stem=0, drop_span=1, span=10))
    assert torch.equal(damaged, _codes())
    gaps = (~present).all(2)
    assert torch.equal(gaps, (~present).any(2))
    assert gaps.sum(1).max() <= 10 and gaps.any(1).float().mean() > 0.8
    assert (gaps.int().diff(dim=1) > 0).sum(1).max() <= 1


def test_none_changes_nothing_and_a_seed_repeats() -> None:
    damaged, present = _run(Corruption(0, 0, 0, 0))
    assert torch.equal(damaged, _codes()) and present.all()
    first, again, other = _run(Corruption(), 3), _run(Corruption(), 3), _run(Corruption(), 4)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
