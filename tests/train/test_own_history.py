"""What the language model remembers in training, when it remembers what it emitted itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from streamsep.lm import LIVE
from streamsep.train.lm import LMStage
from streamsep.train.recipe import StageConfig
from tests.model.small import SMALL, small_net

FRAMES = 6


def test_as_many_passes_as_frames_are_free_running() -> None:
    torch.manual_seed(0)
    stage = LMStage(small_net(), StageConfig(), None)
    net = stage.module.eval()
    c, guide = torch.randn(3, FRAMES, SMALL.condition.out_dim), torch.randn(3, FRAMES, 4, 240)
    lookahead = torch.tensor([0, 1, 3])
    past, present = stage._own_past(c, guide, lookahead, FRAMES)
    state = net.lm.init_state(3)
    for t in range(FRAMES):
        if t:
            torch.testing.assert_close(past[:, t], state["latent"], atol=1e-5, rtol=1e-4)
        net.lm.step(c[:, t], guide[:, t], lookahead, state, decoding=replace(LIVE, feedback="soft"))
    assert present[:, :, 0].sum(1).tolist() == [FRAMES - 1, FRAMES - 1, FRAMES - 3]


@pytest.mark.parametrize("own", [0.0, 1.0])
def test_the_loss_reaches_what_embeds_the_past(own: float) -> None:
    torch.manual_seed(0)
    config = StageConfig(options={"mask": 1.0, "own": own, "drop": 1.0, "span": 25})
    stage = LMStage(small_net().requires_grad_(True), config, None)
    loss, _ = stage.loss(0.1 * torch.randn(2, 4, 2, 40 * 1_920), torch.Generator().manual_seed(1))
    loss.backward()
    grad = stage.module.lm.embedding.project.grad
    assert (grad is not None and bool(grad.abs().max() > 0)) == (own == 1.0)


@pytest.mark.parametrize("joint", [0.0, 1.0])
def test_the_trunk_learns_only_if_asked_to(joint: float) -> None:
    torch.manual_seed(0)
    config = StageConfig(options={"joint": joint, "span": 25})
    stage = LMStage(small_net().requires_grad_(True), config, None)
    loss, parts = stage.loss(0.1 * torch.randn(2, 4, 2, 40 * 1_920), torch.Generator().manual_seed(1))
    loss.backward()
    grads = [p.grad is not None and bool(p.grad.abs().max() > 0) for p in stage.module.trunk.parameters()]
    assert (sum(grads) > len(grads) // 2 and "guide" in parts) if joint else not any(grads)
    assert all(p.grad is None for p in stage.module.codec.parameters())
