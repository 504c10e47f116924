"""HS-TasNet (Venkatesh et al., arXiv 2402.17701) as PyPI's hs-tasnet has it: its own streaming function."""

from __future__ import annotations

import importlib
import sys
import types

import numpy as np
import torch

from tests.bench.peers.peer import Built, Sound, parameters


class Streaming:
    def __init__(self, model: torch.nn.Module) -> None:
        self._transform = model.init_stateful_transform_fn()  # pyright: ignore[reportCallIssue]

    def push(self, block: Sound) -> Sound:
        stems = self._transform(torch.from_numpy(block))
        return stems.sum(0).numpy()


def build() -> Built:
    _without_writer()
    from hs_tasnet import HSTasNet  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    model = HSTasNet().eval()
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


def _without_writer() -> None:
    """hs-tasnet imports torchcodec to write files, which is not wanted here, and torchcodec needs FFmpeg and the torch
    it was built with: where it cannot be loaded, an empty module takes its place.
    """
    try:
        importlib.import_module("torchcodec.encoders")
    except Exception:
        for name in [known for known in sys.modules if known.split(".")[0] == "torchcodec"]:
            del sys.modules[name]
        package, encoders, decoders = (
            types.ModuleType(name) for name in ("torchcodec", "torchcodec.encoders", "torchcodec.decoders")
        )
        encoders.AudioEncoder = decoders.AudioDecoder = None  # pyright: ignore[reportAttributeAccessIssue]
        for module in (package, encoders, decoders):
            sys.modules[module.__name__] = module
