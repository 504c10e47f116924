"""``python -m tests.warm``: compile, in one process, what the shipped model and the tests' small one run.

Compiled code is kept on disk. Processes that compile side by side may get code that differs in the last bit, and the
two models are not of the same types: what is a tuple of layers in one is a longer one in the other.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from streamsep.engine.separator import load
from streamsep.model.checkpoint import save_model
from tests.model.small import small_net
from tests.sounds import tune


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder) / "small", small_net(), torch.float32)
        for model in ("tiny", Path(folder) / "small"):
            for render in ("mask", "codec"):
                load(model, render=render).separate(tune(0.5, 44_100), 44_100)


if __name__ == "__main__":
    main()
