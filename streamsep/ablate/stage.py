"""All variants as one stage of training: the same batches, heard and encoded once, the same number of steps."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from streamsep.ablate.variants import BASE, VARIANTS, base_of
from streamsep.codec.model import Codec
from streamsep.paper.config import PaperModelConfig
from streamsep.paper.net import PaperNet
from streamsep.train.paper import PaperStage
from streamsep.train.recipe import Recipe, StageConfig
from streamsep.train.validation import ValidationSongs


class AblationNets(nn.ModuleDict):
    """A net for each variant, all with one codec and begun with the same seed."""

    def __init__(self, recipe: Recipe, codec: Codec, seed: int) -> None:
        super().__init__()
        base = PaperModelConfig(codec.cfg, base_of(recipe.paper))
        for variant in VARIANTS:
            torch.manual_seed(seed)
            self[variant.name] = PaperNet(variant.of(base), codec)

    def net(self, name: str) -> PaperNet:
        return cast(PaperNet, self[name])


class AblationStage:
    """Trains :class:`AblationNets`. The nets share nothing that is trained, so their summed loss trains each alone."""

    def __init__(self, module: AblationNets, config: StageConfig, valid: ValidationSongs | None) -> None:
        self.module = module
        self.stages = {name: PaperStage(module.net(name), config, valid) for name in module}

    def loss(self, waves: Tensor, generator: torch.Generator, progress: float = 0.0) -> tuple[Tensor, dict[str, float]]:
        heard = self.stages[BASE].hear(waves)
        seed = int(torch.randint(1 << 40, (), generator=generator))
        total, parts = torch.zeros((), device=waves.device), {}
        for name, stage in self.stages.items():
            loss, found = stage.loss_on(heard, seed)
            total = total + loss
            parts |= {f"{name}.{part}": value for part, value in found.items()}
        return total, parts

    def score(self) -> dict[str, float]:
        found = {name: stage.score() for name, stage in self.stages.items()}
        scores = {f"{name}.{part}": value for name, each in found.items() for part, value in each.items()}
        return {"score": sum(each["score"] for each in found.values()) / len(found), **scores}

    def picture(self, path: Path) -> None:
        self.stages[BASE].picture(path)

    def sample(self, path: Path) -> None:
        self.stages[BASE].sample(path)
