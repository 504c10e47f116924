import torch
from torch import Tensor

from streamsep.codec.envelope import ENVELOPE_FEATURES, FLOOR, envelope_power, log_envelopes
from streamsep.condition.bands import band_sum, band_widths
from streamsep.config import BINS, SUBFRAMES


def test_power_is_the_inverse(stems: Tensor) -> None:
    level = torch.full((2, 12, 1), 0.01)
    env = log_envelopes(stems, level)
    assert env.shape == (2, 12, 4, ENVELOPE_FEATURES) and env.dtype == torch.float32
    energy = band_sum(stems.abs().square().sum(-3)).flatten(-2)
    back = envelope_power(env, level)
    # Below -50 dB the floor takes the digits away.
    loud = envelope_power(env) > 1e-5
    assert 0.1 < loud.float().mean() < 0.9
    torch.testing.assert_close(back[loud], energy[loud], rtol=1e-3, atol=0)
    assert (back >= 0).all()


def test_relative_power_is_the_mean_power_of_a_bin() -> None:
    spectrum = torch.zeros(1, 2, SUBFRAMES, BINS, dtype=torch.complex64)
    level = torch.tensor([0.04])
    spectrum[:, 0, 1] = (level * BINS).sqrt()
    env = log_envelopes(spectrum, level)
    torch.testing.assert_close(envelope_power(env)[0, 120:], torch.ones(120), rtol=1e-3, atol=0)
    torch.testing.assert_close(envelope_power(env, level)[0, 120:], level * BINS * band_widths(), rtol=1e-3, atol=0)
    assert (env[0, :120] - FLOOR).abs().max() < 1e-6 and (envelope_power(env)[0, :120] < 1e-8).all()


def test_level_moves_envelopes_not_their_shape(stems: Tensor) -> None:
    level = torch.full((2, 12, 1), 0.01)
    torch.testing.assert_close(log_envelopes(stems, level), log_envelopes(stems * 3, level * 9), atol=1e-5, rtol=0)


def test_values_below_the_floor_are_silence() -> None:
    assert (envelope_power(torch.tensor([-5.0, FLOOR])) == 0).all()
