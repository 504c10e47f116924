"""A model's folder: ``config.json`` and ``model.safetensors``. Knows files and names; knows nothing of training."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from streamsep.config import ModelConfig
from streamsep.errors import OutputError, StreamsepError
from streamsep.model.net import Net

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_SCALES = ":scale"
_COPIES = "lm.tables."  # the language model's copy of the codec's code vectors is made again on loading
_MEND = "copy the model again or install streamsep again."


def save_model(folder: Path | str, net: Net, dtype: torch.dtype = torch.float16, int8: tuple[str, ...] = ()) -> None:
    """Write ``net`` to ``folder``.

    Args:
        dtype: of what is stored of floating point numbers.
        int8: prefixes of names (``lm.temporal``) whose matrices are stored in bytes, with one scale a row.

    Raises OutputError when it cannot be written.
    """
    folder = Path(folder)
    tensors: dict[str, Tensor] = {}
    for name, tensor in net.state_dict().items():
        if name.startswith(_COPIES):
            continue
        tensor = tensor.detach().cpu()
        if tensor.is_floating_point() and tensor.dim() > 1 and name.startswith(int8):
            tensors[name], tensors[name + _SCALES] = _bytes(tensor)
        else:
            tensors[name] = packed(tensor, dtype).contiguous()
    write_files(folder / CONFIG, net.config.to_json(), folder / WEIGHTS, tensors)


def write_files(config: Path, text: str, weights: Path, tensors: dict[str, Tensor]) -> None:
    """Write a model's description and its tensors into one folder, made if need be. Raises OutputError.

    Whatever comes between, a full disk or the end of the process, there is the model of before, or the new one, or one
    that lacks its description; never one's weights under the description of the other.
    """
    folder = weights.parent
    parts = [path.with_name(f"{path.name}.part") for path in (config, weights)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            parts[0].write_text(text + "\n", "utf-8")
            save_file(tensors, parts[1])
            parts[1].chmod(0o644)  # safetensors leaves it to the owner alone
            if not config.exists() or config.read_bytes() != parts[0].read_bytes():
                config.unlink(missing_ok=True)
            parts[1].replace(weights)
            parts[0].replace(config)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"'{folder}' cannot be written: {error}.") from error


def load_model(folder: Path | str, device: torch.device | str = "cpu") -> Net:
    """Read a net, in float32 and ready to run. Raises StreamsepError for files that are missing or do not fit."""
    folder = Path(folder)
    config = _read_config(folder / CONFIG)
    tensors = _read_tensors(folder / WEIGHTS)
    try:
        with torch.random.fork_rng(devices=[]):  # what the new net draws is written over
            net = Net(config)
        _fill(net, _unpacked(tensors))
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        first = str(error).strip().splitlines()[0]
        raise StreamsepError(f"'{folder / WEIGHTS}' does not fit its {CONFIG} ({first}); {_MEND}") from error
    return net.eval().requires_grad_(False).to(device)


def _bytes(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Matrix [..., I] → int8 of the same shape and the scales [..., 1] float32 of its rows."""
    scale = (tensor.abs().amax(-1, keepdim=True) / 127).clamp(min=1e-12)
    return (tensor / scale).round().to(torch.int8), scale


def _unpacked(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Bytes times their rows' scales; everything else as it is."""
    plain = {name: tensor for name, tensor in tensors.items() if not name.endswith(_SCALES)}
    for name, tensor in tensors.items():
        matrix = name.removesuffix(_SCALES)
        if matrix != name:
            if matrix not in plain:
                raise ValueError(f"it lacks '{matrix}'")
            plain[matrix] = plain[matrix] * tensor
    return plain


def packed(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Floating point numbers as ``dtype``, unless too large for it: a quantizer counts how often it was used."""
    if not tensor.is_floating_point() or (tensor.abs() > torch.finfo(dtype).max).any():
        return tensor
    return tensor.to(dtype)


def _fill(net: Net, tensors: dict[str, Tensor]) -> None:
    wanted = {name: tensor for name, tensor in net.state_dict().items() if not name.startswith(_COPIES)}
    for name in wanted.keys() ^ tensors.keys():
        raise ValueError(f"{'it lacks' if name in wanted else 'it has an unknown'} '{name}'")
    for name, tensor in wanted.items():
        if tensor.shape != tensors[name].shape:
            raise ValueError(f"'{name}' is {list(tensors[name].shape)}, not {list(tensor.shape)}")
        if not torch.isfinite(tensors[name]).all():
            raise ValueError(f"'{name}' holds numbers that are not finite")
    net.load_state_dict({name: tensor.to(wanted[name].dtype) for name, tensor in tensors.items()}, strict=False)
    net.share_tables()


def _read_config(path: Path) -> ModelConfig:
    try:
        return ModelConfig.from_dict(json.loads(path.read_text("utf-8")))
    except FileNotFoundError as error:
        raise StreamsepError(f"'{path.parent}' is no model: it has no {CONFIG}; {_MEND}") from error
    except OSError as error:
        raise StreamsepError(f"'{path}' cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StreamsepError(f"'{path}' is damaged: it describes no model; {_MEND}") from error


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise StreamsepError(f"'{path.parent}' is no model: it has no {WEIGHTS}; {_MEND}") from error
    except (OSError, SafetensorError, ValueError) as error:
        raise StreamsepError(f"'{path}' is damaged: it is no safetensors file; {_MEND}") from error
