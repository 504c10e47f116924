"""Open-Unmix (Stöter et al., JOSS 2019) from PyPI's openunmix, with the sizes of `umxhq`, without Wiener iterations."""

from __future__ import annotations

import torch

from tests.bench.peers.peer import Built, chunked
from tests.bench.peers.stand_ins import stand_in

_RATE = 44_100


def build(device: str, window: float, hop: float, margin: float) -> Built:
    stand_in("torchaudio")  # for files only
    from openunmix import umxhq_spec  # pyright: ignore[reportMissingImports]
    from openunmix.model import Separator  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    model = Separator(umxhq_spec(pretrained=False), niter=0).eval()
    return chunked(device, model, lambda sound: model(sound)[0].sum(0), _RATE, window, hop, margin, recurrent=True)
