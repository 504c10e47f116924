"""An H-Codec-2.0 on files: pieces, padding, fewer codebooks, tokens of another codec."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from streamsep.codec.hcodec2.model import compress
from streamsep.errors import OptionError, StreamsepError
from streamsep.transcode.coder import Chunk, Sound, join
from streamsep.transcode.pieces import PieceCoder
from tests.codec.hcodec2.small import small_codec
from tests.sounds import tune

RATE = 4_000
TOKEN = 320


def teacher(wave: Tensor) -> Tensor:
    """Six bands of each frame of 20 ms: [1, L] → [1, 6, L / 80]."""
    return wave.unfold(-1, 80, 80).unflatten(-1, (8, 10)).sum(-1)[..., :6].transpose(1, 2)


def make(seconds: float = 0.8, seed: int = 0) -> PieceCoder:
    return PieceCoder(small_codec(seed=seed), "small", teacher, seconds)


def encoded(coder: PieceCoder, sound: Sound, size: int) -> Chunk:
    encoder = coder.encoder(1)
    chunks = [encoder.push(sound[:, start : start + size]) for start in range(0, sound.shape[1], size)]
    return join([*chunks, encoder.flush()], encoder.format.codebooks)


def test_a_piece_is_what_the_codec_makes_of_it() -> None:
    coder, sound = make(), tune(0.7, RATE, 1)
    chunk = encoded(coder, sound, 1_000)
    wave = coder.codec.pad(torch.from_numpy(sound))
    acoustic, semantic = coder.codec.encode(wave, compress(teacher(wave)))
    np.testing.assert_array_equal(chunk.codes, torch.cat([semantic, acoustic], 1)[0].T.numpy())
    decoder = coder.decoder(coder.encoder(1).format)
    out = np.concatenate([decoder.push(chunk), decoder.flush()], 1)
    np.testing.assert_allclose(out, coder.codec.decode(acoustic, semantic).numpy(), atol=1e-6)


def test_a_long_sound_is_coded_in_pieces_with_a_margin_of_their_neighbours() -> None:
    coder, sound = make(), tune(2.0, RATE, 1)  # pieces of 10 tokens with a margin of 2: 10, 10 and 5
    whole = encoded(coder, sound, 700)
    assert len(whole) == 25
    for start, stop, first, last in ((0, 10, 0, 12), (10, 20, 8, 22), (20, 25, 18, 25)):
        alone = encoded(make(10.0), sound[:, first * TOKEN : last * TOKEN], 10**6)
        np.testing.assert_array_equal(alone.codes[start - first : stop - first], whole.codes[start:stop])
    np.testing.assert_array_equal(encoded(coder, sound, 10**6).codes, whole.codes)


@pytest.mark.parametrize("tokens", [0, 1, 9, 10, 11, 12, 13, 20, 21, 22, 25, 31])
def test_any_length_is_coded_once_whatever_the_blocks(tokens: int) -> None:
    coder, sound = make(), tune(2.6, RATE, 1)[:, : tokens * TOKEN]
    whole = encoded(coder, sound, 333)
    assert len(whole) == tokens
    np.testing.assert_array_equal(encoded(coder, sound, 10**6).codes, whole.codes)
    layout = coder.encoder(1).format
    once, bit_by_bit = coder.decoder(layout), coder.decoder(layout)
    parts = [bit_by_bit.push(Chunk(whole.codes[i : i + 4], whole.levels[i : i + 4])) for i in range(0, tokens, 4)]
    together = np.concatenate([*parts, bit_by_bit.flush()], 1)
    assert together.shape == (1, tokens * TOKEN)
    np.testing.assert_array_equal(together, np.concatenate([once.push(whole), once.flush()], 1))


def test_pieces_fade_into_one_another() -> None:
    coder, sound = make(), tune(1.6, RATE, 1)
    chunk = encoded(coder, sound, 10**6)  # 20 tokens: two pieces
    decoder = coder.decoder(coder.encoder(1).format)
    out = np.concatenate([decoder.push(chunk), decoder.flush()], 1)

    def alone(first: int, last: int) -> Sound:
        codes = torch.from_numpy(chunk.codes[first:last].astype(np.int64)).T[None]
        return coder.codec.decode(codes[:, 3:], codes[:, :3]).numpy()

    one, two = alone(0, 12), alone(8, 20)
    np.testing.assert_allclose(out[:, : 8 * TOKEN], one[:, : 8 * TOKEN], atol=1e-6)
    np.testing.assert_allclose(out[:, 12 * TOKEN :], two[:, 4 * TOKEN :], atol=1e-6)
    share = (np.arange(4 * TOKEN) + 0.5) / (4 * TOKEN)
    mixed = share * two[:, : 4 * TOKEN] + (1 - share) * one[:, 8 * TOKEN :]
    np.testing.assert_allclose(out[:, 8 * TOKEN : 12 * TOKEN], mixed, atol=1e-6)
    assert np.abs(one[:, 8 * TOKEN :] - two[:, : 4 * TOKEN]).max() > 1e-3  # they do differ


def test_half_of_the_codebooks_are_semantic() -> None:
    coder, sound = make(), tune(0.5, RATE, 1)
    encoder = coder.encoder(1, 4)
    assert (encoder.format.codebooks, encoder.format.semantic) == (4, 2)
    encoder.push(sound)
    fewer, all_ = encoder.flush().codes, encoded(coder, sound, 10**6).codes
    np.testing.assert_array_equal(fewer, all_[:, [0, 1, 3, 4]])
    assert coder.decoder(encoder.format).push(Chunk(fewer, np.zeros(len(fewer), np.uint8))).shape == (1, 0)
    for count in (0, 3, 8):
        with pytest.raises(OptionError, match="even number of codebooks from 2 to 6"):
            coder.encoder(1, count)


def test_an_encoder_needs_a_teacher_that_fits() -> None:
    with pytest.raises(OptionError, match="--semantic"):
        PieceCoder(small_codec(), "small").encoder(1)
    bad = PieceCoder(small_codec(), "small", lambda wave: teacher(wave)[:, :5])
    encoder = bad.encoder(1)
    encoder.push(tune(0.5, RATE, 1))
    with pytest.raises(StreamsepError, match="the codec needs"):
        encoder.flush()


def test_tokens_of_another_codec_are_refused() -> None:
    with pytest.raises(OptionError, match="another codec"):
        make().decoder(make(seed=1).encoder(1).format)


def test_nothing_in_nothing_out() -> None:
    coder = make()
    encoder = coder.encoder(1)
    assert len(encoder.flush()) == 0
    assert coder.decoder(encoder.format).flush().shape == (1, 0)
