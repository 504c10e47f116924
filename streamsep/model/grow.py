"""A larger net that says what the one it comes from says: training goes on from there. Knows nets; trains nothing."""

from __future__ import annotations

from dataclasses import replace

import torch

from streamsep.model.net import Net

_BLOCKS = "trunk.encoder.conformer.blocks."
# What a block adds to its input passes one of these.
_EXITS = ("first.down.weight", "second.down.weight", "time.out.weight", "conv.down.weight", "bands.out.weight")
# What each token has of its own, and what joins them.
_BY_TOKEN = (
    "trunk.encoder.merge.weight",
    "trunk.encoder.merge.bias",
    "trunk.encoder.position",
    "pool.narrow.weight",
    "pool.narrow.bias",
)
_POOLED = "pool.out.weight"


@torch.no_grad()
def deepen(net: Net, layers: int) -> Net:
    """A copy of ``net`` whose Conformer has ``layers`` blocks; both separate alike.

    New blocks stand, evenly spread, behind the blocks that they are copies of, and add nothing until they are trained:
    their last matrices are zero. After Net2Net (Chen et al., arXiv 1511.05641).
    Raises ValueError when ``net`` has more blocks, or less than half as many.
    """
    old = net.config.condition.layers
    if not old <= layers <= 2 * old:
        raise ValueError(f"{old} blocks cannot become {layers}: at least as many, at most twice as many.")
    grown = Net(replace(net.config, condition=replace(net.config.condition, layers=layers)))
    grown.load_state_dict({name: x for name, x in net.state_dict().items() if _BLOCKS not in name}, strict=False)
    target = iter(grown.trunk.encoder.conformer.blocks)
    copies = {(i + 1) * old // (layers - old) - 1 for i in range(layers - old)} if layers > old else set[int]()
    for i, block in enumerate(net.trunk.encoder.conformer.blocks):
        next(target).load_state_dict(block.state_dict())
        if i in copies:
            copy = next(target)
            copy.load_state_dict(block.state_dict())
            for name in _EXITS:
                copy.get_parameter(name).zero_()
    return grown


@torch.no_grad()
def zoomed(net: Net, columns: int) -> Net:
    """A copy of ``net`` that resolves low bins over ``columns`` columns; until it is trained both separate alike.

    Raises ValueError when ``net`` does so already.
    """
    if net.config.condition.zoom:
        raise ValueError(f"this net has a zoom of {net.config.condition.zoom} columns.")
    grown = Net(replace(net.config, condition=replace(net.config.condition, zoom=columns)))
    grown.load_state_dict(net.state_dict(), strict=False)
    return grown


@torch.no_grad()
def shared(net: Net, per_group: tuple[int, ...]) -> Net:
    """A copy of ``net`` with so many tokens for each group of bands, where it has one: more room for what is in them.

    New tokens are copies of their group's. They say what it said but for one thing: attention over bands hears a group
    as often as it has tokens. Raises ValueError when ``net`` shares groups already, or has others.
    """
    old = net.config.condition
    if old.shared or len(per_group) != old.tokens:
        raise ValueError(f"a net of {list(old.per_group)} tokens cannot get {list(per_group)}.")
    new = replace(old, tokens=sum(per_group), shared=per_group)
    grown = Net(replace(net.config, condition=new))
    groups = torch.tensor(new.group_of_token)
    state = net.state_dict()
    for name in _BY_TOKEN:
        state[name] = state[name][groups]
    out = state[_POOLED].unflatten(1, (old.tokens, -1)) / torch.tensor(per_group)[None, :, None]
    state[_POOLED] = out[:, groups].flatten(1)
    grown.load_state_dict(state)
    return grown
