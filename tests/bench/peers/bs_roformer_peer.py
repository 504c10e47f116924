"""BS-RoFormer (Lu et al., arXiv 2309.02612) of PyPI's BS-RoFormer: width 384, depth 6, half the published depth."""

from __future__ import annotations

import torch

from tests.bench.peers.peer import Built, chunked

_RATE = 44_100


def build(device: str, window: float, hop: float, margin: float) -> Built:
    from bs_roformer import BSRoformer  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    model = BSRoformer(
        dim=384,
        depth=6,
        stereo=True,
        num_stems=4,
        time_transformer_depth=1,
        freq_transformer_depth=1,
        num_residual_streams=1,
        flash_attn=False,
    ).eval()

    def separate(sound: torch.Tensor) -> torch.Tensor:
        out = model(sound)[0].sum(0)
        return torch.nn.functional.pad(out, (0, sound.shape[-1] - out.shape[-1]))

    return chunked(device, model, separate, _RATE, window, hop, margin)
