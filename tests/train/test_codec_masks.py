"""The codec's option ``mask``: tokens are for masks, so what is lost there counts."""

from __future__ import annotations

import torch
from torch import Tensor

from streamsep.codec.envelope import log_envelopes
from streamsep.codec.model import Codec
from streamsep.config import FRAME, CodecConfig
from streamsep.train.codec import CodecStage
from streamsep.train.recipe import StageConfig

CODEC = CodecConfig(codebook_size=16, code_dim=8, dim=32, acoustic_dim=16, band_width=2, semantic_layers=1)


def _waves(seed: int) -> Tensor:
    """Four stems [4, 4, 2, L] of filtered noise, each louder elsewhere in time and frequency."""
    noise = torch.randn(4, 4, 2, 12 * FRAME, generator=torch.Generator().manual_seed(seed))
    spectrum = torch.fft.rfft(noise)
    at = torch.linspace(0, 1, spectrum.shape[-1])
    shapes = torch.stack([torch.exp(-8.0 * (at - centre).abs()) for centre in (0.0, 0.05, 0.2, 0.6)])
    time = torch.linspace(0, 6.28, 12 * FRAME)
    swells = torch.stack([1 + torch.sin(rate * time) for rate in (1.0, 2.0, 3.0, 5.0)])
    return 0.1 * torch.fft.irfft(spectrum * shapes[:, None], noise.shape[-1]) * swells[:, None]


def _begun(**options: float) -> tuple[CodecStage, Tensor]:
    """A stage with these options, and the loss of its first batch, of which the log names the masks' part."""
    torch.manual_seed(0)
    stage = CodecStage(Codec(CODEC), StageConfig(options={"semantic_share": 1.0, **options}), None)
    loss, logged = stage.loss(_waves(0), torch.Generator())
    assert ("separation" in logged) == ("mask" in options)
    assert logged["loss"] == loss.item()
    return stage, loss


def test_masks_from_tokens_add_what_they_weigh_and_reach_encoder_and_decoder() -> None:
    (plain, without), (_, light), (judged, heavy) = _begun(), _begun(mask=0.1), _begun(mask=0.4)
    assert light.item() != without.item()
    torch.testing.assert_close(heavy - without, 4 * (light - without), rtol=1e-3, atol=1e-4)
    heavy.backward()
    without.backward()
    for part in ("encoder", "decoder"):
        grads = [getattr(stage.module.semantic, part).straight.weight.grad for stage in (plain, judged)]
        assert not torch.allclose(grads[0], grads[1])


def test_masks_loss_is_least_for_the_true_envelopes() -> None:
    stage, _ = _begun(mask=1.0)
    found, level = stage._hear(_waves(1))
    true = log_envelopes(found.stems, level.unsqueeze(-1))
    worse = true + 0.3 * torch.randn(true.shape, generator=torch.Generator().manual_seed(0))
    assert stage._mask_loss(found, true) < stage._mask_loss(found, worse)


def test_acoustic_part_is_not_judged_by_masks() -> None:
    stage = CodecStage(Codec(CODEC), StageConfig(options={"semantic_share": 0.0, "mask": 1e6}), None)
    torch.manual_seed(0)
    loss, _ = stage.loss(_waves(0), torch.Generator())
    assert loss < 100
