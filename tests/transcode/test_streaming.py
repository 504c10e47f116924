"""Our codec on blocks: any blocks, the same tokens; the same sound as the whole at once; constant state."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamsep.codec.model import Codec
from streamsep.codec.stft import ISTFT, STFT
from streamsep.condition.features import mid_side
from streamsep.config import FRAME, SUBFRAMES
from streamsep.errors import OptionError
from streamsep.transcode.coder import Chunk, Sound, join
from streamsep.transcode.streaming import StreamingCoder, byte_level, level_byte
from tests.codec.conftest import SMALL
from tests.sounds import tune


@pytest.fixture(scope="module")
def coder() -> StreamingCoder:
    torch.manual_seed(0)
    codec = Codec(SMALL).eval().requires_grad_(False)
    for weight in codec.decoder.spread.weights:
        torch.nn.init.normal_(weight, std=0.05)
    return StreamingCoder(codec, "small")


def encoded(coder: StreamingCoder, sound: Sound, size: int, codebooks: int | None = None) -> Chunk:
    encoder = coder.encoder(sound.shape[0], codebooks)
    chunks = [encoder.push(sound[:, start : start + size]) for start in range(0, sound.shape[1], size)]
    return join([*chunks, encoder.flush()], encoder.format.codebooks)


@pytest.mark.parametrize("samples", [1, 959, 960, 961, 1_920, 30_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_tokens_bring_every_sample_back(coder: StreamingCoder, samples: int, channels: int) -> None:
    sound = tune(1.0, 48_000, channels)[:, :samples]
    chunk = encoded(coder, sound, 7_000)
    decoder = coder.decoder(coder.encoder(channels).format)
    out = np.concatenate([decoder.push(chunk), decoder.flush()], 1)
    assert out.shape[0] == channels
    assert samples <= out.shape[1] < samples + FRAME + 960
    assert np.isfinite(out).all()


def test_blocks_do_not_matter(coder: StreamingCoder) -> None:
    sound = tune(0.6, 48_000)
    whole = encoded(coder, sound, 10**6)
    for size in (1_000, 1_920, 4_801):
        parts = encoded(coder, sound, size)
        np.testing.assert_array_equal(parts.codes, whole.codes)
        np.testing.assert_array_equal(parts.levels, whole.levels)
    layout = coder.encoder(2).format
    once, bit_by_bit = coder.decoder(layout), coder.decoder(layout)
    pieces = [bit_by_bit.push(Chunk(whole.codes[i : i + 3], whole.levels[i : i + 3])) for i in range(0, len(whole), 3)]
    np.testing.assert_array_equal(np.concatenate(pieces, 1), once.push(whole))


@torch.no_grad()
def test_the_stream_is_the_codec_on_the_whole_sound(coder: StreamingCoder) -> None:
    sound = tune(0.5, 48_000)
    chunk = encoded(coder, sound, 5_000)
    frames = len(chunk)
    wave = torch.zeros(1, 2, frames * FRAME)
    wave[0, :, : sound.shape[1]] = torch.from_numpy(sound)
    columns = STFT()(mid_side(wave, 1)).unflatten(2, (-1, SUBFRAMES)).transpose(1, 2)
    level = torch.tensor([[byte_level(int(byte)) for byte in chunk.levels]])
    codes = coder.codec.encode(columns, level)
    np.testing.assert_array_equal(codes[0].numpy(), chunk.codes)
    decoded = coder.codec.decode(codes, level).transpose(1, 2).flatten(2, 3)
    whole = mid_side(ISTFT()(decoded), 1)[0, :, 960:].numpy()
    np.testing.assert_allclose(coder.decoder(coder.encoder(2).format).push(chunk), whole, atol=1e-4)


def test_fewer_codebooks_are_the_first_ones(coder: StreamingCoder) -> None:
    sound = tune(0.3, 48_000)
    np.testing.assert_array_equal(encoded(coder, sound, 9_999, 3).codes, encoded(coder, sound, 9_999).codes[:, :3])
    assert coder.encoder(2, 4).format.semantic == 3
    with pytest.raises(OptionError, match="1 to 5 codebooks"):
        coder.encoder(2, 6)


def test_tokens_of_another_codec_are_refused(coder: StreamingCoder) -> None:
    torch.manual_seed(1)
    other = Codec(SMALL).eval()
    other.semantic.quantizer.vectors.add_(0.1)
    with pytest.raises(OptionError, match="'other'"):
        coder.decoder(StreamingCoder(other, "other").encoder(2).format)


def test_more_than_two_channels_are_refused(coder: StreamingCoder) -> None:
    assert [coder.coded_channels(n) for n in (1, 2)] == [1, 2]
    with pytest.raises(OptionError, match="not 6"):
        coder.coded_channels(6)


def test_levels_in_a_byte() -> None:
    for db in (-90.0, -45.1, -0.3, 11.9):
        assert abs(10 * np.log10(byte_level(level_byte(10 ** (db / 10)))) - db) <= 0.2001
    assert (level_byte(1e-30 + 1e-12), level_byte(1e9)) == (0, 255)
