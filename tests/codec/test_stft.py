import torch

from streamsep.codec.stft import ISTFT, STFT, root_hann
from streamsep.config import FRAME, HOP


def test_windows_overlap_to_one() -> None:
    square = root_hann().double().square()
    torch.testing.assert_close(square[:HOP] + square[HOP:], torch.ones(HOP, dtype=torch.float64), atol=1e-6, rtol=0)


def test_synthesis_of_analysis_is_the_input_960_samples_late() -> None:
    x = torch.randn(3, 2, 7 * FRAME)
    y = ISTFT()(STFT()(x))
    assert y.shape == x.shape
    torch.testing.assert_close(y[..., HOP:], x[..., :-HOP], atol=1e-5, rtol=0)
    assert y[..., :HOP].abs().max() < 1e-5


def test_steps_are_the_sequence() -> None:
    x = torch.randn(3, 2, 5 * FRAME)
    stft, istft = STFT(), ISTFT(lead=(2,))
    whole = stft(x)
    inward, outward = stft.init_state(3), istft.init_state(3)
    heard: list[torch.Tensor] = []
    for t in range(5):
        column = stft.step(x[..., t * FRAME : (t + 1) * FRAME], inward)
        torch.testing.assert_close(column, whole[..., 2 * t : 2 * t + 2, :], atol=1e-5, rtol=0)
        heard.append(istft.step(column, outward))
    torch.testing.assert_close(torch.cat(heard, -1), istft(whole), atol=1e-5, rtol=0)


def test_an_inactive_slot_stays_where_it_is() -> None:
    x = torch.randn(2, 2, FRAME)
    stft = STFT()
    state = stft.init_state(2)
    stft.step(x, state, torch.tensor([True, False]))
    assert torch.equal(state["past"][0], x[0, :, -HOP:])
    assert (state["past"][1] == 0).all()
