"""Run in several processes by ``torchrun``: a few steps of guide and codec, then each process's weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from streamsep.codec.model import Codec
from streamsep.model.trunk import Trunk
from streamsep.train.codec import CodecStage
from streamsep.train.guide import GuideStage
from streamsep.train.loop import Trainer
from streamsep.train.recipe import load_recipe

STEPS = 3


def main(path: str, folder: Path) -> None:
    recipe = load_recipe(path)
    for name in ("guide", "codec"):
        torch.manual_seed(0)
        config = replace(recipe.stages[name], steps=STEPS, precision="float32")
        if name == "guide":
            stage = GuideStage(Trunk(recipe.model.condition), config, None)
        else:
            stage = CodecStage(Codec(recipe.model.codec), config, None)
        said: list[str] = []
        trainer = Trainer(stage, config, folder / name, said.append)
        rank = trainer.rank

        def waves(step: int, rank: int = rank) -> Iterator[Tensor]:
            while True:
                generator = torch.Generator().manual_seed(100 * rank + step)
                yield 0.1 * torch.randn(2, 4, 2, 30 * 1_920, generator=generator)
                step += 1

        trainer.run(waves)
        torch.save({"said": said, "state": stage.module.state_dict()}, folder / f"{name}{rank}.pt")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
