"""Names and shapes of the published checkpoint."""

from __future__ import annotations

import hashlib
import math

import pytest
import torch

from streamsep.codec.hcodec2 import PUBLISHED, HCodec2, HCodec2Config
from tests.codec.hcodec2.small import small_config

# Of the sorted lines "name shape" of the published state dict.
DIGEST = "98cff6d5f1de06584e8bcd0a4f1b750e5bece116099166af63b674be9ff038d0"


def test_the_published_sizes_give_the_published_state_dict() -> None:
    with torch.device("meta"):
        model = HCodec2(PUBLISHED)
    state = model.state_dict()
    assert len(state) == 788
    lines = "\n".join(f"{name} {list(value.shape)}" for name, value in sorted(state.items()))
    assert hashlib.sha256(lines.encode()).hexdigest() == DIGEST
    assert sum(p.numel() for p in model.parameters()) == 1_243_225_474
    assert sum(math.prod(b.shape) for b in model.buffers()) == 33_591_072
    assert {str(value.dtype) for value in state.values()} == {"torch.float32"}


def test_rates_of_the_published_codec() -> None:
    assert (PUBLISHED.token_hop, PUBLISHED.token_rate) == (3_840, 12.5)


def test_a_configuration_survives_its_file() -> None:
    config = small_config(causal=True)
    assert HCodec2Config.from_dict(config.to_dict()) == config
    assert HCodec2Config.from_dict({"sampling_rate": 48_000}) == PUBLISHED


@pytest.mark.parametrize(
    ("part", "name", "value", "said"),
    [
        ("encoder_config", "dimension", 9, "quantizer_config.dim"),
        ("decoder_config", "input_channels", 9, "twice"),
        ("decoder_config", "dim", 48, "multiple of 32"),
        ("encoder_config", "target_frame_rate", 25, "different rates"),
        ("encoder_config", "n_fft", 100, "n_fft"),
    ],
)
def test_parts_that_do_not_fit_are_refused(part: str, name: str, value: int, said: str) -> None:
    raw = small_config().to_dict()
    raw[part][name] = value
    with pytest.raises(ValueError, match=said):
        HCodec2Config.from_dict(raw)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown 'vocoder'"):
        HCodec2Config.from_dict({"vocoder": {}})
    with pytest.raises(TypeError, match="deep"):
        HCodec2Config.from_dict({"encoder_config": {"deep": 1}})
