"""What codec and tokens could reach if the language model made no mistake. Knows the codec; loads no model itself.

Two estimates from the true stems, through the very steps that a stream takes: the codec's round trip (all codebooks),
which bounds the codec render, and masks from the true semantic tokens, which bound the mask render's tokens.
"""

from __future__ import annotations

import numpy as np
import torch

from streamsep.codec.stft import ISTFT, STFT
from streamsep.condition.features import mid_side
from streamsep.condition.level import LevelTracker
from streamsep.config import FRAME, STEMS
from streamsep.evaluate.metrics import Sound
from streamsep.model.fuse import token_masks
from streamsep.model.net import Net
from streamsep.model.trunk import frame_power
from streamsep.render.mask import MaskRenderer

CODEC_ORACLE, TOKEN_ORACLE = "ideal_codec", "ideal_tokens"


@torch.inference_mode()
def token_oracles(net: Net, stems: Sound) -> dict[str, Sound]:
    """True stems [4, 2, n] at 48 kHz → estimates of the same shape by name, aligned."""
    codec, books = net.codec, net.config.codec.semantic_codebooks
    device = next(net.parameters()).device
    analysis, level_of = STFT().to(device), LevelTracker().to(device)
    masker, waves = MaskRenderer().to(device), ISTFT().to(device)
    masker.select_kernels(device.type)
    analysed, levels = analysis.init_state(len(STEMS) + 1, device), level_of.init_state(1, device)
    coded, masked, waved = (
        codec.init_state(len(STEMS), device),
        masker.init_state(1, device),
        waves.init_state(1, device),
    )
    samples = stems.shape[-1]
    frames = -(-(samples + masker.delay) // FRAME)
    padded = np.pad(
        np.concatenate([stems, stems.sum(0, keepdims=True)]), [(0, 0), (0, 0), (0, frames * FRAME - samples)]
    )
    out = {name: np.empty((len(STEMS), 2, frames * FRAME), np.float32) for name in (CODEC_ORACLE, TOKEN_ORACLE)}
    for start in range(0, frames * FRAME, FRAME):
        frame = torch.from_numpy(np.ascontiguousarray(padded[..., start : start + FRAME])).to(device)
        spectra = analysis.step(mid_side(frame, 1), analysed)
        mixture = spectra[-1:]
        level = level_of.step(frame_power(mixture), levels)
        rows = level.expand(len(STEMS))
        codes = codec.encode_step(spectra[:-1], rows, coded)
        columns = codec.decode_step(codes, rows, coded)
        masks = token_masks(codec.semantic.decode(codec.latents(codes[:, :books])[0])[None]).exp()
        sounds = {
            CODEC_ORACLE: mid_side(waves.step(columns[None], waved), 2),
            TOKEN_ORACLE: masker.step(masks, mixture, masked),
        }
        for name, sound in sounds.items():
            out[name][..., start : start + FRAME] = sound[0].cpu().numpy()
    return {name: sound[..., masker.delay : masker.delay + samples] for name, sound in out.items()}
