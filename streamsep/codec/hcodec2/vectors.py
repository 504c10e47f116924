"""Reference vectors in a folder: runs a codec on their inputs and says how far it is from their outputs.

A case is a JSON file with ``config``, ``weights_file``, ``io_file`` and perhaps ``inputs_from``; ``units.json`` holds
single modules. Stages of the decoder start from the folder's own codes, so that one wrong code is counted once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from streamsep.codec.hcodec2.config import HCodec2Config
from streamsep.codec.hcodec2.model import HCodec2
from streamsep.codec.hcodec2.probes import watch
from streamsep.codec.hcodec2.units import run_unit
from streamsep.errors import StreamsepError

TOLERANCE = 1e-4
UNITS = "units"
_NAMES = {"enc": "encoder", "dec": "decoder"}


@dataclass(frozen=True)
class Difference:
    """How far one stage is off: the largest difference, or for codes how many of them differ. ``total`` numbers."""

    case: str
    stage: str
    value: float
    codes: bool
    total: int

    def within(self, tolerance: float) -> bool:
        return self.value == 0 if self.codes else self.value <= tolerance


def compare_folder(folder: Path) -> Iterator[Difference]:
    """Every stage of every case and unit in ``folder``, by name. Raises StreamsepError for a folder without vectors."""
    if not folder.is_dir():
        raise StreamsepError(f"'{folder}' is no folder; give one that holds reference vectors (JSON and safetensors).")
    found = sorted(path for path in folder.glob("*.json") if "config" in _read(path) or UNITS in _read(path))
    if not found:
        raise StreamsepError(f"'{folder}' holds no reference vectors: no JSON file in it has a 'config' or '{UNITS}'.")
    for path in found:
        try:
            raw = _read(path)
            yield from compare_units(path, raw) if UNITS in raw else compare_case(path, raw)
        except (KeyError, ValueError, TypeError, AttributeError, RuntimeError, OSError, SafetensorError) as error:
            text = " ".join(str(error).split())
            raise StreamsepError(
                f"'{path}' cannot be run ({type(error).__name__}: {text}); mend the vectors."
            ) from error


def compare_case(path: Path, raw: dict[str, Any]) -> Iterator[Difference]:
    """A whole codec: encoder, quantizers, decoder."""
    model = HCodec2(HCodec2Config.from_dict(raw["config"])).eval()
    model.load_state_dict(load_file(path.parent / raw["weights_file"]))
    wanted = _load(path.parent / raw["io_file"])
    inputs = _load(path.parent / raw["inputs_from"]) if raw.get("inputs_from") else wanted
    made = run_case(model, inputs, wanted)
    frames = raw.get("captured_frames")
    for name, value in sorted(wanted.items()):
        if name.startswith(("out.", "stage.")):
            yield _difference(raw.get("case", path.stem), name, _pick(name, made[name], frames), value)


def run_case(model: HCodec2, inputs: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """All that :func:`compare_case` compares: ``wanted`` names the stages and gives the codes that are decoded."""
    made: dict[str, Tensor] = {}
    modules = {name: _module(name) for name in wanted if name.startswith("stage.")}
    with torch.no_grad(), watch(model, modules, made):
        made["out.encoder_output"] = model.encoder(model.pad(inputs["in.wave"]))
        made["out.semantic_encoder_output"] = model.semantic_encoder(inputs["in.semantic_features"])
        made["out.acoustic_codes"] = model.quantizer.encode(made["out.encoder_output"])
        made["out.semantic_codes"] = model.semantic_quantizer.encode(made["out.semantic_encoder_output"])
        made["out.acoustic_embedding"] = model.quantizer.decode(wanted["out.acoustic_codes"])
        made["out.semantic_embedding"] = model.semantic_quantizer.decode(wanted["out.semantic_codes"])
        made["out.decoder_input"] = torch.cat([made["out.acoustic_embedding"], made["out.semantic_embedding"]], 1)
        made["out.decoded_wave"] = model.decoder(made["out.decoder_input"])
        made["out.semantic_decoder_output"] = model.semantic_decoder(made["out.semantic_embedding"])
    return made


def compare_units(path: Path, raw: dict[str, Any]) -> Iterator[Difference]:
    """Single modules, each with its own small weights."""
    tensors = _load(path.parent / raw.get("io_file", path.with_suffix(".safetensors").name))
    for name, unit in raw[UNITS].items():
        yield _difference(UNITS, name, run_unit(name, unit, tensors), tensors[f"{name}.out"])


def _module(stage: str) -> str:
    """``stage.dec.prior_net.3_btc`` → ``decoder.prior_net.3``."""
    side, _, rest = stage.removeprefix("stage.").partition(".")
    rest = rest.removesuffix("_btc").removesuffix("_frames")
    return f"{_NAMES[side]}.{ {'features': 'stft', 'head_out': 'head.out'}.get(rest, rest) }"


def _pick(name: str, value: Tensor, frames: list[int] | None) -> Tensor:
    if not name.removesuffix("_btc").endswith("_frames") or frames is None:
        return value
    return value[:, frames] if name.endswith("_btc") else value[:, :, frames]


def _difference(case: str, stage: str, made: Tensor, wanted: Tensor) -> Difference:
    if made.shape != wanted.shape:
        raise ValueError(f"{stage} is {list(made.shape)}, the vectors have {list(wanted.shape)}")
    if not wanted.is_floating_point():
        return Difference(case, stage, float((made != wanted).sum()), True, wanted.numel())
    gap = (made - wanted).abs().max()
    return Difference(case, stage, float(gap.nan_to_num(torch.inf)), False, wanted.numel())


def _load(path: Path) -> dict[str, Tensor]:
    """Tensors of a file, numbers that are not integers in float32."""
    return {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StreamsepError(f"'{path}' is no JSON; mend or remove it.") from error
    return raw if isinstance(raw, dict) else {}
