from collections.abc import Callable

import pytest
import torch

from streamsep.lm import Decoding, LanguageModel


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
