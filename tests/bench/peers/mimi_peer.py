"""Mimi (Défossez et al., arXiv 2410.00037), the codec of PyPI's moshi: 24 kHz mono, 80 ms frames, 8 codebooks."""

from __future__ import annotations

import numpy as np
import torch

from tests.bench.peers.peer import Built, Sound, parameters

_FRAME = 1_920


class Streaming:
    def __init__(self, model: torch.nn.Module, device: str) -> None:
        self._model, self._device = model, device
        if model.is_streaming:  # pyright: ignore[reportAttributeAccessIssue]
            model.reset_streaming()  # pyright: ignore[reportCallIssue]
        else:
            model.streaming_forever(1)  # pyright: ignore[reportCallIssue]

    def push(self, block: Sound) -> Sound:
        with torch.no_grad():  # not inference_mode: its state is reset outside
            codes = self._model.encode(torch.from_numpy(block)[None].to(self._device))  # pyright: ignore[reportCallIssue]
            return self._model.decode(codes)[0].cpu().numpy()  # pyright: ignore[reportCallIssue]


def build(device: str) -> Built:
    from moshi.models.loaders import get_mimi  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    model = get_mimi(None, device=device)
    block = np.zeros((1, _FRAME), np.float32)
    return Built(
        make=lambda: Streaming(model, device),
        block=_FRAME,
        parameters=parameters(model),
        aligned=True,
        counted=lambda: Streaming(model, device).push(block),
        counted_samples=_FRAME,
    )
