"""A paper model's files, ``paper.json`` and ``paper.safetensors``: alone in a folder or beside a streaming model's."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from streamsep.errors import StreamsepError
from streamsep.model.checkpoint import packed, write_files
from streamsep.model.store import find_model, imported_models
from streamsep.paper.config import PaperModelConfig
from streamsep.paper.net import PaperNet

CONFIG, WEIGHTS = "paper.json", "paper.safetensors"
_TRAIN = "train one with `streamsep train paper`"
_MEND = "copy the model again."


def save_paper(folder: Path, net: PaperNet, dtype: torch.dtype = torch.float16) -> None:
    """Write ``net`` to ``folder``, floating point numbers as ``dtype`` where they fit. Raises OutputError."""
    tensors = {name: packed(tensor, dtype).cpu().contiguous() for name, tensor in net.state_dict().items()}
    write_files(folder / CONFIG, net.config.to_json(), folder / WEIGHTS, tensors)


def load_paper(model: str | Path, device: torch.device | str = "cpu") -> PaperNet:
    """Read the paper model of a shipped or imported model, or of a folder, in float32 and ready to run.

    Raises StreamsepError when there is no such model, when it has no paper language model, or when that is damaged.
    """
    folder = find_model(str(model))
    if folder is None:
        raise StreamsepError(
            f"unknown model '{model}': not shipped, not in '{imported_models()}', no such folder; {_TRAIN}."
        )
    if not (folder / CONFIG).is_file():
        raise StreamsepError(f"the model '{model}' has no language model for the mode paper; {_TRAIN}.")
    try:
        config = PaperModelConfig.from_dict(json.loads((folder / CONFIG).read_text("utf-8")))
        with torch.random.fork_rng(devices=[]):  # what the new net draws is written over
            net = PaperNet(config)
        wanted = net.state_dict()
        tensors = load_file(folder / WEIGHTS)
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise ValueError(f"'{name}' holds numbers that are not finite")
        net.load_state_dict({name: t.to(wanted[name].dtype) if name in wanted else t for name, t in tensors.items()})
    except FileNotFoundError as error:
        raise StreamsepError(f"'{folder}' lacks {WEIGHTS}; {_MEND}") from error
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        text = " ".join(str(error).split())[:200]
        raise StreamsepError(f"the paper model in '{folder}' is damaged ({text}); {_MEND}") from error
    return net.to(device).eval().requires_grad_(False)
