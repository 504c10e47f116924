"""HTDemucs (Rouard, Massa, Défossez, arXiv 2211.08553) of PyPI's demucs, in the sizes of its `htdemucs`."""

from __future__ import annotations

from fractions import Fraction

import torch

from tests.bench.peers.peer import Built, chunked

_RATE = 44_100


def build(device: str, window: float, hop: float, margin: float) -> Built:
    from demucs.htdemucs import HTDemucs  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    model = HTDemucs(
        ["drums", "bass", "other", "vocals"],
        bottom_channels=512,
        dconv_mode=3,
        segment=Fraction(39, 5),
        samplerate=_RATE,
        use_train_segment=False,  # a window shorter than 7.8 s is not padded to it: quicker
    ).eval()
    return chunked(device, model, lambda sound: model(sound)[0].sum(0), _RATE, window, hop, margin)
