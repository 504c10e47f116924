"""Run in several processes by ``torchrun``: a few steps of guide, codec and its second part, then the weights."""

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
    for name in ("guide", "codec", "acoustic"):
        torch.manual_seed(0)
        config = replace(recipe.stages["guide" if name == "guide" else "codec"], steps=STEPS, precision="float32")
        if name == "acoustic":
            config = replace(config, options={"semantic_share": 0.0})
        if name == "guide":
            stage = GuideStage(Trunk(recipe.model.condition), config, None)
        else:
            stage = CodecStage(Codec(recipe.model.codec), config, None)
        said: list[str] = []
        begun = {key: value.clone() for key, value in stage.module.named_parameters()}
        trainer = Trainer(stage, config, folder / name, said.append)
        rank = trainer.rank

        def waves(step: int, rank: int = rank) -> Iterator[Tensor]:
            while True:
                generator = torch.Generator().manual_seed(100 * rank + step)
                yield 0.1 * torch.randn(2, 4, 2, 30 * 1_920, generator=generator)
                step += 1

        trainer.run(waves)
        moved = [key for key, value in stage.module.named_parameters() if not torch.equal(value, begun[key])]
        torch.save({"said": said, "moved": moved, "state": stage.module.state_dict()}, folder / f"{name}{rank}.pt")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
