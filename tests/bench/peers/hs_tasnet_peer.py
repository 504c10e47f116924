"""HS-TasNet (Venkatesh et al., arXiv 2402.17701) as PyPI's hs-tasnet has it: its own streaming function."""

from __future__ import annotations

import numpy as np
import torch

from tests.bench.hs_tasnet import hs_tasnet_module
from tests.bench.peers.peer import Built, Sound, parameters


class Streaming:
    def __init__(self, model: torch.nn.Module) -> None:
        self._transform = model.init_stateful_transform_fn()  # pyright: ignore[reportCallIssue]

    def push(self, block: Sound) -> Sound:
        stems = self._transform(torch.from_numpy(block))  # which moves it to the model
        return stems.sum(0).cpu().numpy()


def build(device: str) -> Built:
    torch.manual_seed(0)
    model = hs_tasnet_module().HSTasNet().eval().to(device)
    hop = model.overlap_len
    block = np.zeros((2, hop), np.float32)
    return Built(
        make=lambda: Streaming(model),
        block=hop,
        parameters=parameters(model),
        aligned=False,
        counted=lambda: Streaming(model).push(block),
        counted_samples=hop,
        recurrent=True,
    )
