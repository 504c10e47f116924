import pytest
import torch

from streamsep.config import LOOKAHEADS
from streamsep.lm import history, targets


@pytest.mark.parametrize("index", range(4))
def test_step_emits_the_frame_k_behind(index: int) -> None:
    k = LOOKAHEADS[index]
    frames = torch.arange(10).view(1, 10, 1).expand(2, 10, 3)
    y, valid = targets(frames, torch.full((2,), index))
    assert y.shape == frames.shape
    for t in range(10):
        assert valid[0, t] == (0 <= t - k < 10)
        if valid[0, t]:
            assert y[0, t, 0] == t - k


@pytest.mark.parametrize("index", range(4))
def test_history_is_what_the_step_before_emitted(index: int) -> None:
    k = LOOKAHEADS[index]
    lookahead = torch.tensor([index])
    y, _ = targets(torch.arange(10).view(1, 10), lookahead)
    past, present = history(y, lookahead)
    for t in range(10):
        assert present[0, t] == (t >= 1 and t - 1 - k >= 0)
        if present[0, t]:
            assert past[0, t] == t - 1 - k


def test_every_row_has_its_own_lookahead() -> None:
    y, valid = targets(torch.arange(5).expand(4, 5), torch.arange(4))
    assert [y[i, 2].item() for i in range(4)] == [3, 2, 1, 0]
    assert valid.sum(1).tolist() == [4, 5, 4, 3]
