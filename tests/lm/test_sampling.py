from collections.abc import Callable

import pytest
import torch

from streamsep.lm import Decoding, LanguageModel
from streamsep.lm.sampling import choose, uniform


def _grid(seeds: int, frames: int) -> torch.Tensor:
    seed, frame, stem, book = torch.meshgrid(
        torch.arange(seeds), torch.arange(frames), torch.arange(4), torch.arange(8), indexing="ij"
    )
    return uniform(seed, frame, stem, book)


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
        assert uniform(*(torch.tensor(x) for x in (seed, frame, stem, book))).item() == (staged >> 11) * 2.0**-53


def test_choices_follow_the_probabilities() -> None:
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4]).log()
    u = _grid(20, 400).flatten()
    codes = choose(logits.expand(u.numel(), 4), Decoding(temperature=1.0), u)
    share = codes.bincount(minlength=4) / u.numel()
    torch.testing.assert_close(share, logits.exp(), atol=0.01, rtol=0)


def test_top_k_and_temperature() -> None:
    logits = torch.randn(2000, 32, generator=torch.Generator().manual_seed(0))
    u = torch.rand(2000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    codes = choose(logits, Decoding(temperature=1.0, top_k=3), u)
    assert (logits.topk(3).indices == codes.unsqueeze(1)).any(1).all()
    assert torch.equal(choose(logits, Decoding(temperature=1.0, top_k=1), u), logits.argmax(-1))
    assert torch.equal(choose(logits, Decoding(temperature=1e-4), u), logits.argmax(-1))
    assert not torch.equal(codes, logits.argmax(-1))


def test_codes_with_no_probability_are_never_chosen() -> None:
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf])
    u = torch.tensor([0.0, 0.25, 0.5, 0.75, 1 - 2**-53], dtype=torch.float64)
    assert choose(logits.expand(5, 5), Decoding(temperature=1.0), u).tolist() == [1, 1, 3, 3, 3]


@pytest.mark.parametrize("bad", [{"temperature": -1.0}, {"top_k": -1}, {"within": "none"}, {"feedback": "maybe"}])
def test_bad_decoding_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Decoding(**bad)  # type: ignore[arg-type]


def test_sampling_without_a_seed_is_refused(make_lm: Callable[..., LanguageModel]) -> None:
    lm = make_lm()
    with pytest.raises(ValueError, match="seed"):
        lm.step(
            torch.zeros(1, 12),
            None,
            torch.ones(1, dtype=torch.long),
            lm.init_state(1),
            decoding=Decoding(temperature=1),
        )


def _stream(lm: LanguageModel, c: torch.Tensor, seed: torch.Tensor) -> torch.Tensor:
    state = lm.init_state(c.shape[0])
    lookahead = torch.ones(c.shape[0], dtype=torch.long)
    decoding = Decoding(temperature=1.0, top_k=12)
    steps = [lm.step(c[:, t], None, lookahead, state, decoding=decoding, seed=seed).codes for t in range(c.shape[1])]
    return torch.stack(steps, 1)


def test_a_seed_decides_whatever_the_neighbours_do(make_lm: Callable[..., LanguageModel]) -> None:
    lm = make_lm()
    c = torch.randn(1, 12, 12, generator=torch.Generator().manual_seed(5)).expand(4, -1, -1)
    seed = torch.tensor([11, 12, 11, 13])
    codes = _stream(lm, c, seed)
    assert torch.equal(codes[0], codes[2])
    assert not torch.equal(codes[0], codes[1])
    assert torch.equal(_stream(lm, c[:1], seed[:1])[0], codes[0])
    assert torch.equal(_stream(lm, c[:2], seed[1:3])[0], codes[1])
