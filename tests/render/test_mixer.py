"""Gains per stem: exact at one, smooth on the way, the same for every block size."""

from __future__ import annotations

import torch

from streamsep.render.mixer import Mixer


def test_gains_of_one_give_the_plain_sum() -> None:
    stems = torch.randn(2, 4, 2, 500)
    mixer = Mixer()
    assert torch.equal(mixer.step(stems, torch.ones(2, 4), mixer.init_state(2)), stems.sum(1))


def test_a_gain_arrives_without_a_jump_whatever_the_blocks() -> None:
    stems = torch.zeros(1, 4, 1, 4_800)
    stems[:, 0] = 1.0
    gains = torch.tensor([[0.0, 1.0, 1.0, 1.0]])
    mixer = Mixer()
    whole = mixer.step(stems, gains, mixer.init_state(1))
    assert whole.diff().abs().max() < 0.006 and whole[..., 0] > 0.99
    assert abs(whole[0, 0, 239] - torch.e**-1) < 1e-3  # 63 % of the way after 5 ms
    assert whole[..., -1].abs() < 1e-7
    state = mixer.init_state(1)
    parts = [mixer.step(part, gains, state) for part in stems.split([1, 7, 480, 1_920, 2_392], -1)]
    torch.testing.assert_close(torch.cat(parts, -1), whole, atol=1e-6, rtol=0)


def test_inactive_slots_keep_their_gains() -> None:
    mixer = Mixer()
    state = mixer.init_state(2)
    mixer.step(torch.ones(2, 4, 1, 100), torch.zeros(2, 4), state, torch.tensor([True, False]))
    assert (state["gain"][1] == 1).all() and (state["gain"][0] < 0.7).all()
