"""Write ``vectors/``: inputs, weights and outputs of a small H-Codec-2.0, in the layout that `codec verify` reads.

Run from the project's folder, and only with an implementation that was checked against the original one:

    python -m tests.codec.hcodec2.make_vectors

Weights are rounded to half precision first, to keep the files small.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from streamsep.codec.hcodec2.blocks import ConvNeXtBlock, ResnetBlock
from streamsep.codec.hcodec2.conv import Conv1d
from streamsep.codec.hcodec2.model import HCodec2, compress
from streamsep.codec.hcodec2.quantizer import ResidualVQ
from streamsep.codec.hcodec2.semantic import DecoderBlock, EncoderBlock
from streamsep.codec.hcodec2.spectral import STFT, ISTFTHead
from streamsep.codec.hcodec2.transformer import Transformer
from streamsep.codec.hcodec2.units import run_unit
from streamsep.codec.hcodec2.vectors import run_case
from tests.codec.hcodec2.small import small_codec, small_features, small_wave

VECTORS = Path(__file__).parent / "vectors"
SAMPLES, FRAMES = 3_300, 44  # 11 tokens of 320 samples, the last one padded
CAPTURED = [0, 43]
OUTPUTS = ("encoder_output", "acoustic_codes", "acoustic_embedding", "decoder_input", "decoded_wave")
OUTPUTS += ("semantic_encoder_output", "semantic_codes", "semantic_embedding", "semantic_decoder_output")
STAGES = ("enc.norm_btc", "enc.prior_net", "enc.post_net", "enc.features_frames", "dec.embed", "dec.prior_net.0")
STAGES += ("dec.prior_net.3_btc", "dec.prior_net", "dec.post_net", "dec.head_out_frames_btc")
Tensors = dict[str, Tensor]


def make_case(name: str, model: HCodec2, inputs: Tensors, inputs_from: str | None) -> None:
    codes: Tensors = {
        "out.acoustic_codes": model.quantizer.encode(model.encoder(model.pad(inputs["in.wave"]))),
        "out.semantic_codes": model.semantic_quantizer.encode(model.semantic_encoder(inputs["in.semantic_features"])),
    }
    _assert_clear(model.quantizer, model.encoder(model.pad(inputs["in.wave"])))
    _assert_clear(model.semantic_quantizer, model.semantic_encoder(inputs["in.semantic_features"]))
    wanted = codes | {f"stage.{stage}": torch.empty(0) for stage in STAGES}
    made = run_case(model, inputs, wanted)
    kept: Tensors = {} if inputs_from else dict(inputs)
    for key in [f"out.{output}" for output in OUTPUTS] + [f"stage.{stage}" for stage in STAGES]:
        value = made[key]
        if "_frames" in key:
            value = value[:, CAPTURED] if key.endswith("_btc") else value[:, :, CAPTURED]
        kept[key] = value.contiguous()
    save_file(kept, VECTORS / f"{name}.safetensors")
    raw = {
        "case": name,
        "config": model.cfg.to_dict(),
        "weights_file": "weights.safetensors",
        "io_file": f"{name}.safetensors",
        "inputs_from": inputs_from,
        "captured_frames": CAPTURED,
    }
    (VECTORS / f"{name}.json").write_text(json.dumps(raw, indent=1) + "\n")


def _assert_clear(quantizer: ResidualVQ, x: Tensor) -> None:
    """The two nearest entries are never so close that rounding could decide between them."""
    residual = x.transpose(1, 2)
    for book in quantizer.codebooks:
        near = torch.cdist(residual, book.embed).topk(2, largest=False).values
        assert ((near[..., 1] - near[..., 0]) / near[..., 1]).min() > 1e-4
        residual = residual - book.decode(book.encode(residual))


def make_units() -> None:
    generator = torch.Generator().manual_seed(7)
    units: dict[str, Any] = {}
    tensors: Tensors = {}

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).half().float()

    def add(name: str, module: nn.Module | None, given: Tensor | None, unit: Any) -> None:
        source = unit["weights_and_input_from"] if isinstance(unit, dict) and module is not None else name
        if module is not None and source == name:
            for key, value in module.state_dict().items():
                if key != "istft.window":
                    tensors[f"{name}.state.{key}"] = (draw(*value.shape) * 0.3).half().float()
        if given is not None:
            tensors[f"{name}.in"] = given
        units[name] = unit
        tensors[f"{name}.out"] = run_unit(name, unit, tensors).contiguous()

    for causal in (False, True):
        kind = "causal" if causal else "noncausal"
        modules = {
            "transformer": (
                Transformer(18, 2, causal, 3, 30),
                draw(2, 11, 18),
                {"module": "Transformer", "hidden": 18, "heads": 3, "intermediate": 30, "layers": 2},
            ),
            "resnet": (ResnetBlock(64, causal), draw(2, 64, 11), {"module": "ResnetBlock", "dim": 64}),
            "convnext": (
                ConvNeXtBlock(32, 48, causal),
                draw(2, 32, 11),
                {"module": "ConvNeXtBlock", "dim": 32, "intermediate": 48},
            ),
            "conv": (
                Conv1d(8, 6, 9, 4, causal=causal),
                draw(2, 8, 11),
                {"module": "Conv1d wrapper", "kernel": 9, "stride": 4},
            ),
        }
        for name, (module, given, unit) in modules.items():
            unit = {**unit, "causal": causal, "weights_and_input_from": f"{name}_noncausal"}
            add(f"{name}_{kind}", module, None if causal else given, unit)
    for name, kind in (("semantic_encoder", EncoderBlock), ("semantic_decoder", DecoderBlock)):
        for stride in (1, 2, 3):
            full = f"{name}_block_s{stride}"
            unit = {"module": kind.__name__, "in_ch": 6, "out_ch": 8, "stride": stride, "weights_and_input_from": full}
            add(full, kind(6, 8, stride), draw(2, 6, 11), unit)
    head = {"module": "ISTFTHead", "dim": 4, "n_fft": 40, "hop": 20, "weights_and_input_from": "istft_head"}
    add("istft_head", ISTFTHead(4, 40, 20), draw(2, 7, 4), head)
    wave = small_wave(640).half().float()
    add("frontend", None, wave, {"n_fft": 160, "hop": 80, "frames_kept": [0, 7]})
    add("compress", None, draw(64), "sign(x)*|x|^0.3")
    assert torch.equal(tensors["compress.out"], compress(tensors["compress.in"]))
    assert STFT(160, 80)(wave).shape[-1] == 8
    save_file({name: _small(name, value) for name, value in tensors.items()}, VECTORS / "units.safetensors")
    (VECTORS / "units.json").write_text(json.dumps({"units": units}, indent=1) + "\n")


def _small(name: str, value: Tensor) -> Tensor:
    return value if name.endswith(".out") else value.half()


@torch.no_grad()
def main() -> None:
    VECTORS.mkdir(exist_ok=True)
    state = {name: value.half() for name, value in small_codec().state_dict().items()}
    save_file(state, VECTORS / "weights.safetensors")
    inputs = {"in.wave": small_wave(SAMPLES), "in.semantic_features": small_features(FRAMES)}
    for name, causal, inputs_from in (("noncausal", False, None), ("causal", True, "noncausal.safetensors")):
        model = small_codec(causal)
        model.load_state_dict(state)
        make_case(name, model, inputs, inputs_from)
    make_units()


if __name__ == "__main__":
    main()
