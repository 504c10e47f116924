"""Single modules of H-Codec-2.0 run on reference vectors. Knows how each is built from its description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from streamsep.codec.hcodec2.blocks import ConvNeXtBlock, ResnetBlock
from streamsep.codec.hcodec2.conv import Conv1d
from streamsep.codec.hcodec2.model import compress
from streamsep.codec.hcodec2.semantic import DecoderBlock, EncoderBlock
from streamsep.codec.hcodec2.spectral import STFT, ISTFTHead
from streamsep.codec.hcodec2.transformer import Transformer

Unit = dict[str, Any]


def _transformer(unit: Unit, state: dict[str, Tensor]) -> nn.Module:
    return Transformer(unit["hidden"], unit["layers"], unit["causal"], unit["heads"], unit["intermediate"])


def _conv(unit: Unit, state: dict[str, Tensor]) -> nn.Module:
    out, channels, kernel = state["conv.weight"].shape
    return Conv1d(channels, out, kernel, unit["stride"], causal=unit["causal"])


MODULES: dict[str, Callable[[Unit, dict[str, Tensor]], nn.Module]] = {
    "Transformer": _transformer,
    "ResnetBlock": lambda unit, _: ResnetBlock(unit["dim"], unit["causal"]),
    "ConvNeXtBlock": lambda unit, _: ConvNeXtBlock(unit["dim"], unit["intermediate"], unit["causal"]),
    "Conv1d wrapper": _conv,
    "EncoderBlock": lambda unit, _: EncoderBlock(unit["in_ch"], unit["out_ch"], unit["stride"]),
    "DecoderBlock": lambda unit, _: DecoderBlock(unit["in_ch"], unit["out_ch"], unit["stride"]),
    "ISTFTHead": lambda unit, _: ISTFTHead(unit["dim"], unit["n_fft"], unit["hop"]),
}


@torch.no_grad()
def run_unit(name: str, unit: Unit | str, tensors: dict[str, Tensor]) -> Tensor:
    """What unit ``name`` makes of its input. Raises ValueError for a kind of unit that is not known."""
    if isinstance(unit, str):  # a formula instead of a module
        return compress(tensors[f"{name}.in"])
    if "module" not in unit:
        first, last = unit["frames_kept"]
        return STFT(unit["n_fft"], unit["hop"])(tensors[f"{name}.in"])[:, :, [first, last]]
    if unit["module"] not in MODULES:
        raise ValueError(f"unknown unit '{unit['module']}'")
    source = unit["weights_and_input_from"]
    prefix = f"{source}.state."
    state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    module = MODULES[unit["module"]](unit, state).eval()
    missing, unexpected = module.load_state_dict(state, strict=False)
    if unexpected or set(missing) - {"istft.window"}:  # the window is computed
        raise ValueError(f"the weights of '{name}' do not fit")
    return module(tensors[f"{source}.in"])
