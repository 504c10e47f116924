import pytest
import torch
from torch import Tensor

from kernels.registry import resolve
from streamsep.codec.decoder import CHANNELS
from streamsep.codec.envelope import ENVELOPE_FEATURES, envelope_power
from streamsep.codec.model import Codec
from streamsep.codec.semantic import SemanticPath
from streamsep.codec.stft import ISTFT
from streamsep.condition.bands import band_sum
from streamsep.config import SUBFRAMES, CodecConfig

STEM = 0


def _awake(config: CodecConfig, stems: Tensor) -> Codec:
    """A codec whose every part does something: codebooks from data, decoder weights away from zero."""
    codec = Codec(config)
    with torch.no_grad():
        for weight in codec.decoder.spread.weights:
            weight.normal_(0, 0.3)
        codec.train()
        spectrum, level = _fold(stems)
        codec.semantic(codec.teacher(spectrum, level))
        codec.acoustic(spectrum, level)
    return codec.eval()


def _fold(stems: Tensor) -> tuple[Tensor, Tensor]:
    spectrum = stems.transpose(1, 2).flatten(0, 1)
    return spectrum, torch.linspace(0.01, 0.03, spectrum.shape[1]).expand(spectrum.shape[0], -1)


@pytest.mark.parametrize("codebooks", [2, 3, 5])
@torch.no_grad()
def test_steps_are_the_sequence(config: CodecConfig, stems: Tensor, codebooks: int) -> None:
    codec = _awake(config, stems)
    spectrum, level = _fold(stems)
    codes = codec.encode(spectrum, level, codebooks)
    decoded = codec.decode(codes, level)
    assert codes.shape == (8, 12, codebooks) and decoded.shape == spectrum.shape
    state = codec.init_state(8)
    for t in range(12):
        code = codec.encode_step(spectrum[:, t], level[:, t], state, codebooks=codebooks)
        assert torch.equal(code, codes[:, t])
        columns = codec.decode_step(code, level[:, t], state)
        torch.testing.assert_close(columns, decoded[:, t], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_forward_and_step_of_the_whole(config: CodecConfig, stems: Tensor) -> None:
    codec = _awake(config, stems)
    spectrum, level = _fold(stems)
    whole, state = codec(spectrum, level), codec.init_state(8)
    torch.testing.assert_close(whole, codec.decode(codec.encode(spectrum, level), level))
    for t in range(4):
        torch.testing.assert_close(codec.step(spectrum[:, t], level[:, t], state), whole[:, t], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_an_inactive_slot_keeps_its_state(config: CodecConfig, stems: Tensor) -> None:
    codec = _awake(config, stems)
    spectrum, level = _fold(stems)
    state = codec.init_state(8)
    codec.step(spectrum[:, 0], level[:, 0], state)
    before = state.save(3)
    active = torch.ones(8, dtype=torch.bool)
    active[3] = False
    codec.step(spectrum[:, 1], level[:, 1], state, active)
    after, moved = state.save(3), state.save(2)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not all(torch.equal(before[name], moved[name]) for name in before)


@torch.no_grad()
def test_soft_latents_of_certain_codes_are_the_codes(config: CodecConfig, stems: Tensor) -> None:
    codec = _awake(config, stems)
    spectrum, level = _fold(stems)
    codes = codec.encode(spectrum, level)
    assert codec.vectors.shape == (5, config.codebook_size, config.code_dim)
    one_hot = torch.nn.functional.one_hot(codes, config.codebook_size).float()
    latent = torch.einsum("btqk,qkc->btqc", one_hot, codec.vectors)
    books = config.semantic_codebooks
    soft = codec.decode_latents(latent[:, :, :books].sum(2), latent[:, :, books:].sum(2), level)
    torch.testing.assert_close(soft, codec.decode(codes, level), atol=1e-4, rtol=1e-4)
    only = codec.decode_latents(latent[:, :, :books].sum(2), None, level)
    torch.testing.assert_close(only, codec.decode(codes[..., :books], level), atol=1e-4, rtol=1e-4)


def test_encoders_and_decoder_are_causal_by_gradient(config: CodecConfig, stems: Tensor) -> None:
    codec = _awake(config, stems)
    spectrum, level = _fold(stems[:1])
    spectrum = spectrum.clone().requires_grad_()
    for latents in (codec.acoustic.latents(spectrum, level), codec.semantic.encoder(codec.teacher(spectrum, level))):
        (grad,) = torch.autograd.grad(latents[:, 6].square().sum(), spectrum)
        seen = torch.view_as_real(grad).abs().sum((0, 2, 3, 4, 5))
        assert seen[6] > 0 and (seen[7:] == 0).all()
    semantic, acoustic = (torch.randn(4, 12, config.code_dim, requires_grad=True) for _ in range(2))
    columns = codec.decode_latents(semantic, acoustic, level)
    for grad in torch.autograd.grad(torch.view_as_real(columns[:, 6]).square().sum(), (semantic, acoustic)):
        seen = grad.abs().sum((0, 2))
        assert (seen[7:] == 0).all() and seen[6] > 0


@torch.no_grad()
def test_an_untrained_decoder_gives_the_semantic_envelope(config: CodecConfig, stems: Tensor) -> None:
    codec = Codec(config).eval()
    _, level = _fold(stems)
    env = torch.rand(8, 12, ENVELOPE_FEATURES) * 1.5 - 1
    latents = torch.randn(2, 8, 12, config.code_dim)
    columns = codec.decoder(latents[0], latents[1], env, level)
    energy = band_sum(columns.abs().square().sum(-3)).flatten(-2)
    torch.testing.assert_close(energy, envelope_power(env, level), rtol=1e-3, atol=1e-7)


@torch.no_grad()
def test_a_steady_tone_is_decoded_from_its_turn_alone(config: CodecConfig) -> None:
    codec = Codec(config).eval()
    frames, level = 20, torch.full((1, 20), 0.02)
    env = torch.full((1, frames, SUBFRAMES, 120), -2.0)
    env[..., 30] = 1.0  # the bin at 750 Hz
    bias = codec.decoder.spread.bias.view(961, SUBFRAMES, CHANNELS)
    bias[..., 4] = 20.0  # hold on to the phase
    columns = codec.decoder(torch.zeros(1, frames, 16), torch.zeros(1, frames, 16), env.flatten(2), level)
    wave = ISTFT()(columns[0, :, 0].flatten(0, 1))[9600:]
    loud = torch.fft.rfft(wave[:19200] * torch.hann_window(19200)).abs()
    peak = int(loud.argmax())
    assert peak == 300  # of 2.5 Hz
    assert loud[peak - 2 : peak + 3].square().sum() > 0.99 * loud.square().sum()


@torch.no_grad()
def test_silence_in_is_silence_out_and_finite(config: CodecConfig) -> None:
    path = SemanticPath(config)
    codec = Codec(config)
    zeros, level = torch.zeros(2, 6, 2, 2, 961, dtype=torch.complex64), torch.full((2, 6), 1e-9)
    path(codec.teacher(zeros, level))
    codec.train()
    codec.semantic(codec.teacher(zeros, level))
    codec.acoustic(zeros, level)
    out = codec.eval()(zeros, level)
    assert torch.view_as_real(out).isfinite().all()


@pytest.mark.parametrize("backend", ["reference", "numba"])
@torch.no_grad()
def test_a_step_decodes_as_training_does(config: CodecConfig, backend: str) -> None:
    path = SemanticPath(config).eval()
    path.frame_net = resolve("frame_net", "cpu", backend).function
    latent, up = torch.randn(2, 3, config.code_dim), path.decoder.blocks[0].up
    for change in (lambda: None, lambda: up.bias.add_(1), lambda: path.double().float()):
        change()
        envelopes = path.decode_step(latent)
        assert envelopes.shape == (2, 3, ENVELOPE_FEATURES)
        torch.testing.assert_close(envelopes, path.decode(latent), atol=1e-5, rtol=1e-5)


def test_shipped_size() -> None:
    codec = Codec(CodecConfig())
    assert sum(p.numel() for p in codec.parameters()) < 1.6e6
    assert codec.vectors.shape == (8, 512, 64)


def test_codebooks_that_do_not_exist(config: CodecConfig, stems: Tensor) -> None:
    spectrum, level = _fold(stems)
    with pytest.raises(ValueError, match="1 to 5 codebooks"):
        Codec(config).encode(spectrum, level, 6)
