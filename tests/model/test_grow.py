"""Larger nets: they begin where the others ended, and can go on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from streamsep.model.grow import deepen, shared, zoomed
from streamsep.model.net import Net
from tests.model.small import SMALL

CONFIG = replace(SMALL, condition=replace(SMALL.condition, layers=2))
PLAIN = replace(SMALL, condition=replace(SMALL.condition, tokens=6, shared=()))
BLUNT = replace(SMALL, condition=replace(SMALL.condition, zoom=0))


def spectrum() -> torch.Tensor:
    return torch.randn(2, 9, 2, 2, 961, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("more", [0, 1, 2])
def test_a_deepened_net_says_the_same(more: int) -> None:
    torch.manual_seed(0)
    net = Net(CONFIG)
    grown = deepen(net, 2 + more)
    lookahead = torch.tensor([0, 2])
    one, two = (each.trunk(spectrum(), lookahead) for each in (net, grown))
    torch.testing.assert_close(one.tokens, two.tokens)
    torch.testing.assert_close(one.logits, two.logits)
    state = grown.state_dict()
    for name, value in net.state_dict().items():
        if "conformer.blocks" not in name:
            torch.testing.assert_close(state[name], value)


def test_what_is_new_is_trained() -> None:
    torch.manual_seed(0)
    grown = deepen(Net(CONFIG), 3)
    grown.trunk(spectrum(), torch.tensor([1, 1])).tokens.square().sum().backward()
    ends = grown.trunk.encoder.conformer.blocks[-1]
    moved = [name for name, p in ends.named_parameters() if p.grad is not None and p.grad.abs().max() > 0]
    assert {"first.down.weight", "time.out.weight", "conv.down.weight", "second.down.weight"} <= set(moved)


@pytest.mark.parametrize("layers", [1, 5])
def test_other_depths_are_refused(layers: int) -> None:
    with pytest.raises(ValueError, match="cannot become"):
        deepen(Net(CONFIG), layers)


def test_a_zoom_says_nothing_until_it_is_trained() -> None:
    torch.manual_seed(0)
    net = Net(BLUNT)
    torch.nn.init.normal_(net.trunk.guide.weight)
    grown = zoomed(net, 8)
    assert grown.config.condition.zoom == 8
    lookahead = torch.tensor([0, 2])
    one, two = (each.trunk(spectrum(), lookahead) for each in (net, grown))
    torch.testing.assert_close(one.logits, two.logits)
    two.tokens.square().sum().backward()
    assert grown.trunk.encoder.zoom is not None
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in grown.trunk.encoder.zoom.parameters())


def test_a_net_is_zoomed_once() -> None:
    with pytest.raises(ValueError, match="has a zoom of 8"):
        zoomed(zoomed(Net(BLUNT), 8), 8)


def test_shared_groups_say_the_same_but_for_attention_over_bands() -> None:
    torch.manual_seed(0)
    net = Net(PLAIN)
    for block in net.trunk.encoder.conformer.blocks:
        torch.nn.init.zeros_(block.get_parameter("bands.out.weight"))
    torch.nn.init.normal_(net.trunk.guide.weight)
    grown = shared(net, (3, 1, 2, 1, 1, 1))
    assert grown.config.condition.tokens == 9
    lookahead = torch.tensor([0, 2])
    one, two = (each.trunk(spectrum(), lookahead) for each in (net, grown))
    assert one.logits.abs().max() > 0.1
    torch.testing.assert_close(one.logits, two.logits)
    torch.testing.assert_close(*(each.pool(x.tokens.transpose(1, 2)) for each, x in ((net, one), (grown, two))))


def test_tokens_of_a_group_speak_for_their_own_bands() -> None:
    torch.manual_seed(0)
    trunk = shared(Net(PLAIN), (2, 1, 1, 1, 1, 3)).trunk
    torch.nn.init.normal_(trunk.guide.weight)
    tokens = torch.randn(1, 9, 16, requires_grad=True)
    logits = trunk.guide(tokens, torch.randn(1, 30, 8)).unflatten(-1, (30, 4)).sum((0, 1, 2, 3, 5))
    speakers = [torch.autograd.grad(band, tokens, retain_graph=True)[0].abs().sum((0, 2)) > 0 for band in logits]
    assert [x.nonzero().flatten().tolist() for x in speakers] == [[i] for i in trunk.encoder.cfg.token_of_band]
    assert trunk.encoder.cfg.token_of_band[:6] == (0, 0, 0, 1, 1, 2)
    assert trunk.encoder.cfg.token_of_band[-6:] == (5, 6, 6, 7, 7, 8)


@pytest.mark.parametrize("per_group", [(2, 1), (2, 1, 1, 1, 1, 1, 1)])
def test_other_groups_are_refused(per_group: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="cannot get"):
        shared(Net(PLAIN), per_group)
