"""What an H-Codec-2.0 does, checked without stored numbers: lengths, reach in time, codes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from streamsep.codec.hcodec2.conv import Conv1d
from streamsep.codec.hcodec2.model import compress
from streamsep.codec.hcodec2.spectral import ISTFT, STFT
from streamsep.codec.hcodec2.transformer import Attention, rotate
from tests.codec.hcodec2.small import HOP, small_codec, small_features, small_wave

TOKEN = 4 * HOP


def _span(model: torch.nn.Module, x: Tensor, at: int) -> tuple[int, int]:
    """First and last place on the last axis of the input that output ``at`` hears, by gradient."""
    x = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(model(x)[..., at].square().sum(), x)
    heard = grad.abs().flatten(0, -2).sum(0).nonzero().flatten()
    return int(heard[0]), int(heard[-1])


@torch.no_grad()
def test_codes_and_wave_have_whole_tokens() -> None:
    model = small_codec()
    wave = model.pad(small_wave(10 * TOKEN + 1))
    assert wave.shape == (1, 11 * TOKEN)
    assert model.pad(wave).shape == wave.shape
    acoustic, semantic = model.encode(wave, small_features(44))
    assert acoustic.shape == semantic.shape == (1, 3, 11)
    assert acoustic.dtype == torch.int64
    decoded = model.decode(acoustic, semantic)
    assert decoded.shape == wave.shape and decoded.isfinite().all()


def test_lengths_that_are_no_whole_tokens_are_refused() -> None:
    model = small_codec()
    for samples, frames in ((TOKEN + 1, 4), (2 * TOKEN, 4), (TOKEN, 8)):
        with pytest.raises(ValueError, match="not whole tokens"):
            model.encode(torch.zeros(1, samples), torch.zeros(1, 6, frames))


@torch.no_grad()
def test_a_batch_is_coded_as_its_members_are() -> None:
    model = small_codec()
    waves = torch.cat([small_wave(4 * TOKEN, seed=seed) for seed in (1, 2)])
    features = torch.cat([small_features(16, seed) for seed in (1, 2)])
    acoustic, semantic = model.encode(waves, features)
    for i in range(2):
        alone = model.encode(waves[i : i + 1], features[i : i + 1])
        assert torch.equal(alone[0][0], acoustic[i]) and torch.equal(alone[1][0], semantic[i])


@torch.no_grad()
def test_fewer_codebooks_are_the_rest_without_a_code() -> None:
    model = small_codec()
    codes = torch.randint(16, (1, 3, 5), generator=torch.Generator().manual_seed(0))
    fewer = codes.clone()
    fewer[:, 2] = -1
    torch.testing.assert_close(model.quantizer.decode(codes[:, :2]), model.quantizer.decode(fewer))
    assert not torch.equal(model.quantizer.decode(codes), model.quantizer.decode(fewer))


@torch.no_grad()
def test_a_vector_of_the_table_is_its_own_code() -> None:
    book = small_codec().quantizer.codebooks[0]
    assert torch.equal(book.encode(book.embed), torch.arange(16)[None])


def test_causal_encoder_looks_ahead_by_half_a_hop_only() -> None:
    model, wave = small_codec(causal=True), small_wave(8 * TOKEN)
    assert _span(model.encoder, wave, 3) == (0, 4 * TOKEN + HOP // 2 - 1)


@pytest.mark.parametrize("part", ["encoder", "decoder", "semantic_encoder"])
def test_what_is_not_causal(part: str) -> None:
    # The whole utterance matters to any token of the encoder and, even with the flag, to any sample of the decoder.
    if part == "encoder":
        assert _span(small_codec().encoder, small_wave(8 * TOKEN), 3) == (0, 8 * TOKEN - 1)
    elif part == "decoder":
        x = torch.randn(1, 16, 8, generator=torch.Generator().manual_seed(0))
        assert _span(small_codec(causal=True).decoder, x, 5) == (0, 7)
    else:
        first, last = _span(small_codec().semantic_encoder, small_features(80), 10)
        assert 40 - first > 10 and last - 40 > 10


@pytest.mark.parametrize(
    ("frames", "causal", "tokens"), [(52, False, 13), (52, True, 13), (50, False, 13), (50, True, 12)]
)
def test_lengths_of_the_padded_convolution(frames: int, causal: bool, tokens: int) -> None:
    assert Conv1d(2, 3, 9, 4, causal=causal)(torch.zeros(1, 2, frames)).shape == (1, 3, tokens)


def test_even_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="odd"):
        Conv1d(2, 3, 4)


def test_spectrum_and_back_is_the_identity() -> None:
    wave = small_wave(12 * HOP)
    features = STFT(2 * HOP, HOP)(wave)
    assert features.shape == (1, 2 * HOP + 2, 12)
    magnitude, phase = features.chunk(2, 1)
    back = ISTFT(2 * HOP, HOP)(torch.polar(magnitude.exp(), phase * torch.pi))
    torch.testing.assert_close(back, wave, atol=1e-4, rtol=0)


def test_rotation_keeps_lengths_and_depends_on_distance_only() -> None:
    q, k = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(0))
    q, k = rotate(q.expand(-1, -1, 9, -1)), rotate(k.expand(-1, -1, 9, -1))
    scores = (q @ k.transpose(-1, -2))[0, 0]
    torch.testing.assert_close(scores[2:, 2:], scores[:-2, :-2], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(q.norm(dim=-1), q[..., :1, :].norm(dim=-1).expand(-1, -1, 9))
    assert not torch.allclose(scores[0, 0], scores[0, 3])


def test_the_lstm_stands_in_the_way() -> None:
    attention = Attention(8, 2, causal=True)
    with torch.no_grad():
        for weight in attention.rnn.parameters():
            weight.zero_()  # an LSTM that says nothing leaves the biases alone
        x = torch.randn(1, 5, 8)
        assert torch.equal(attention(x), attention(torch.zeros_like(x)))


def test_compression_keeps_signs_and_zero() -> None:
    x = torch.tensor([-1024.0, 0.0, 1.0])
    torch.testing.assert_close(compress(x), torch.tensor([-8.0, 0.0, 1.0]))
