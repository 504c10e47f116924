"""Codec renderer: steps equal the codec's sequence through the inverse STFT, stems and slots are alone."""

from __future__ import annotations

import torch

from streamsep.codec.stft import ISTFT
from streamsep.condition.features import mid_side
from streamsep.config import FRAME
from streamsep.render.codec import CodecRenderer
from tests.model.small import small_net

FRAMES = 7


def codes(batch: int) -> torch.Tensor:
    return torch.randint(17, (batch, FRAMES, 4, 5), generator=torch.Generator().manual_seed(1))


def test_steps_equal_the_sequence() -> None:
    codec = small_net().codec
    renderer = CodecRenderer(codec)
    told, level = codes(2), torch.rand(2, FRAMES) + 0.1
    state = renderer.init_state(2)
    steps = torch.cat([renderer.step(told[:, t], level[:, t], state) for t in range(FRAMES)], -1)
    assert steps.shape == (2, 4, 2, FRAMES * FRAME)
    for stem in range(4):
        columns = codec.decode(told[:, :, stem], level)  # [B, T, 2, 2, 961]
        wave = ISTFT()(columns.transpose(1, 2).flatten(2, 3))
        torch.testing.assert_close(steps[:, stem], mid_side(wave, 1), atol=1e-4, rtol=1e-4)


def test_slots_are_alone_reset_and_saved() -> None:
    renderer = CodecRenderer(small_net().codec)
    told, level = codes(3), torch.rand(3, FRAMES) + 0.1
    alone = renderer.init_state(1)
    expected = [renderer.step(told[1:2, t], level[1:2, t], alone) for t in range(FRAMES)]
    state, fresh = renderer.init_state(3), dict(renderer.init_state(3).named_tensors())
    level[0] = torch.nan
    active = torch.tensor([True, True, False])
    for t in range(FRAMES):
        out = renderer.step(told[:, t], level[:, t], state, active)
        torch.testing.assert_close(out[1:2], expected[t], atol=1e-5, rtol=1e-4)
    assert all(torch.equal(tensor[2], fresh[name][2]) for name, tensor in state.named_tensors())
    saved = state.save(1)
    state.reset(torch.tensor([True, True, False]))
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in state.named_tensors())
    state.load(2, saved)
    assert all(torch.equal(tensor[2], saved[name]) for name, tensor in state.named_tensors())
