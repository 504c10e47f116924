"""Drawing codes: the hash, the draw, and that every backend draws the same."""

from __future__ import annotations

import pytest
import torch

from kernels.reference.sample import choose, sample, uniform
from tests.kernels.backends import load, names, to


def _grid(seeds: int, frames: int) -> torch.Tensor:
    seed, frame, stem, book = torch.meshgrid(
        torch.arange(seeds), torch.arange(frames), torch.arange(4), torch.arange(8), indexing="ij"
    )
    return uniform(seed, frame, stem * 4096 + book)


def test_uniform_numbers_are_uniform_and_distinct() -> None:
    u = _grid(16, 500)
    assert u.min() >= 0 and u.max() < 1
    counts = torch.histc(u, 20, 0, 1)
    chi2 = ((counts - u.numel() / 20) ** 2 / (u.numel() / 20)).sum()
    assert chi2 < 50  # 19 degrees of freedom: exceeded once in ten thousand seeds
    assert u.unique().numel() == u.numel()
    for axis in range(4):
        near = torch.corrcoef(
            torch.stack(
                (u.narrow(axis, 0, u.shape[axis] - 1).flatten(), u.narrow(axis, 1, u.shape[axis] - 1).flatten())
            )
        )
        assert near[0, 1].abs() < 0.02


def test_uniform_is_splitmix64() -> None:
    mask = 2**64 - 1

    def mix(x: int) -> int:
        x = (x + 0x9E3779B97F4A7C15) & mask
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return x ^ (x >> 31)

    for seed, frame, stem, book in [(0, 0, 0, 0), (2**63 - 1, 2**40, 3, 7), (-5, 17, 1, 2)]:
        staged = mix((mix(mix(seed & mask) ^ frame)) ^ (stem * 4096 + book + 1))
        u = uniform(*(torch.tensor(x) for x in (seed, frame, stem * 4096 + book)))
        assert u.item() == (staged >> 11) * 2.0**-53


def test_choices_follow_the_probabilities() -> None:
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4]).log()
    u = _grid(20, 400).flatten()
    codes = choose(logits.expand(u.numel(), 4), 1.0, 0, u)
    share = codes.bincount(minlength=4) / u.numel()
    torch.testing.assert_close(share, logits.exp(), atol=0.01, rtol=0)


def test_top_k_and_temperature() -> None:
    logits = torch.randn(2000, 32, generator=torch.Generator().manual_seed(0))
    u = torch.rand(2000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    codes = choose(logits, 1.0, 3, u)
    assert (logits.topk(3).indices == codes.unsqueeze(1)).any(1).all()
    assert torch.equal(choose(logits, 1.0, 1, u), logits.argmax(-1))
    assert torch.equal(choose(logits, 1e-4, 0, u), logits.argmax(-1))
    assert not torch.equal(codes, logits.argmax(-1))


def test_codes_with_no_probability_are_never_chosen() -> None:
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf])
    u = torch.tensor([0.0, 0.25, 0.5, 0.75, 1 - 2**-53], dtype=torch.float64)
    assert choose(logits.expand(5, 5), 1.0, 0, u).tolist() == [1, 1, 3, 3, 3]


def _inputs(batch: int, rows: int, codes: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(batch * codes)
    logits = 3 * torch.randn(batch, rows, codes, generator=generator)
    seed = torch.randint(-(2**62), 2**62, (batch,), generator=generator)
    frame = torch.randint(2**40, (batch,), generator=generator)
    return logits, seed, frame, torch.arange(rows) * 4096 + 3


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 512), (7, 3, 37), (2, 1, 1021)])
@pytest.mark.parametrize(("temperature", "top_k"), [(0.0, 0), (1.0, 0), (0.7, 5), (1.3, 1), (1.0, 10_000)])
@pytest.mark.parametrize("backend", names("sample"))
def test_every_backend_draws_the_same_codes(
    backend: str, shape: tuple[int, int, int], temperature: float, top_k: int
) -> None:
    logits, seed, frame, place = _inputs(*shape)
    expected = sample(logits, temperature, top_k, seed, frame, place)
    own = to([logits, temperature, top_k, seed, frame, place], torch.float32, backend)
    assert torch.equal(load("sample", backend)(*own).cpu(), expected)
    assert expected.unique().numel() > 1 or expected.numel() == 1 or shape[2] == 1


@pytest.mark.parametrize("backend", ["reference", *names("sample")])
def test_equals_of_the_least_are_kept_and_the_first_of_equals_wins(backend: str) -> None:
    op, frames = load("sample", backend), 60
    (logits,) = to([torch.tensor([[[0.0, 2.0, 1.0, 1.0, 2.0]]])], torch.float32, backend)
    assert op(logits, 0.0).item() == 1
    counters = to([torch.full((frames,), 3), torch.arange(frames), torch.arange(1)], torch.float32, backend)
    assert op(logits.expand(frames, -1, -1), 1.0, 3, *counters).unique().tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("backend", ["reference", *names("sample")])
def test_of_nothing_but_nan_some_code_is_drawn(backend: str) -> None:
    (logits,) = to([torch.full((1, 2, 5), torch.nan)], torch.float32, backend)
    codes = load("sample", backend)(logits, 0.0)
    assert ((codes >= 0) & (codes < 5)).all()


@pytest.mark.parametrize("backend", ["reference", *names("sample")])
def test_a_draw_without_a_seed_is_refused(backend: str) -> None:
    with pytest.raises(ValueError, match="seed"):
        load("sample", backend)(*to([torch.zeros(1, 1, 3)], torch.float32, backend), 1.0)
