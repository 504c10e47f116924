"""What took part in the race, from files, as systems of ``streamsep evaluate``: functions that give callables."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

import streamsep as package
from streamsep.evaluate.metrics import Sound
from tests.bench.rivals import HSTasNetPeer, MaskPeer

Separate = Callable[[Sound, int], Mapping[str, Sound]]


def streamsep(text: str) -> Separate:
    """``lookahead:model``, by the guide head alone."""
    lookahead, _, model = text.partition(":")
    separator = package.load(model, decode="guide")
    return lambda mixture, rate: separator.separate(mixture, rate, lookahead=int(lookahead))


def peer(path: str) -> Separate:
    """Weights of the race of any of its peers."""
    weights = torch.load(path, weights_only=True)["net"]
    # Only the mask net has a layer of this name, and its size says the width.
    into = weights.get("into.0.bias")
    found = HSTasNetPeer() if into is None else MaskPeer(len(into))
    found.net.load_state_dict(weights)
    return lambda mixture, rate: found.separate(mixture)
