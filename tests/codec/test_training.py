from typing import Any, cast

import pytest
import torch
from torch import Tensor

from streamsep.codec.model import Codec
from streamsep.config import CodecConfig
from streamsep.train.codec_losses import Stage, codec_training_loss

from .conftest import columns, sounds

LEVEL = 0.02


def _batch(batch: int, frames: int, seed: int) -> tuple[Tensor, Tensor]:
    """Stems of which the last is silent in half of the items."""
    stems = columns(sounds(batch, frames, seed))
    stems[: batch // 2, :, 3] = 0
    return stems, torch.full((batch, frames), LEVEL)


def _train(codec: Codec, stage: Stage, steps: int, batch: int, frames: int) -> list[dict[str, float]]:
    optimizer = torch.optim.AdamW(codec.parameters(), 3e-3)
    codec.train()
    log: list[dict[str, float]] = []
    songs = [_batch(batch, frames, seed) for seed in range(3)]
    for i in range(steps):
        loss, numbers = codec_training_loss(codec, *songs[i % len(songs)], stage)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log.append(numbers)
    return log


def test_semantic_training_reconstructs_and_uses_its_codebooks(config: CodecConfig) -> None:
    codec = Codec(config)
    log = _train(codec, "semantic", 60, 4, 25)
    assert log[-1]["env_db"] < 0.5 * log[0]["env_db"] and log[-1]["env_db"] < 10, (log[0], log[-1])
    assert log[-1]["mask"] < 0.6 * log[0]["mask"]
    assert all(log[-1][f"perplexity_{q}"] > config.codebook_size / 3 for q in range(3)), log[-1]
    assert all(torch.isfinite(torch.tensor(list(numbers.values()))).all() for numbers in log)
    # Silence comes back as silence, and more codebooks are better.
    stems, level = _batch(4, 25, 9)
    codec.eval()
    features = codec.teacher(stems, level.unsqueeze(-1))
    codes = codec.semantic.encode(features)
    env = [codec.semantic.decode(codec.semantic.quantizer.decode(codes[..., :q])) for q in (1, 3)]
    assert env[1][:2, :, 3].max() < -0.9  # 47 dB down
    errors = [float((e.detach() - features[..., :240]).abs().mean()) for e in env]
    assert errors[1] < errors[0]


def test_acoustic_training_learns_and_leaves_the_semantic_path_alone(config: CodecConfig) -> None:
    codec = Codec(config)
    _train(codec, "semantic", 15, 4, 12)
    before = {name: x.clone() for name, x in codec.semantic.state_dict().items()}
    log = _train(codec, "acoustic", 40, 2, 12)
    assert all(torch.equal(before[name], x) for name, x in codec.semantic.state_dict().items())
    first, last = log[0], log[-1]
    assert last["bin_db"] < 0.9 * first["bin_db"] and last["phase"] < 0.95 * first["phase"], (first, last)
    assert last["side"] < 0.5
    assert all(last[f"perplexity_{q}"] > config.codebook_size / 4 for q in range(2)), last


@pytest.mark.parametrize("stage", ["semantic", "acoustic"])
def test_nothing_but_silence_is_finite(config: CodecConfig, stage: Stage) -> None:
    codec = Codec(config).train()
    stems = torch.zeros(2, 5, 4, 2, 2, 961, dtype=torch.complex64)
    for _ in range(2):
        loss, numbers = codec_training_loss(codec, stems, torch.full((2, 5), 1e-9), stage)
        loss.backward()
    assert loss.isfinite() and torch.tensor(list(numbers.values())).isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in codec.parameters())


def test_bf16_trains_too(config: CodecConfig) -> None:
    codec = Codec(config).train()
    for stage in ("semantic", "acoustic"):
        with torch.autocast("cpu", torch.bfloat16):
            loss, _ = codec_training_loss(codec, *_batch(2, 6, 0), stage)
        loss.backward()
        assert loss.isfinite()


def test_another_stage_is_refused(config: CodecConfig) -> None:
    with pytest.raises(ValueError, match="semantic and acoustic"):
        codec_training_loss(Codec(config), *_batch(1, 2, 0), cast(Any, "both"))
