"""What is compared with what. Knows names and configurations; trains nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from streamsep.paper.config import PaperConfig, PaperModelConfig

BASE = "paper"


@dataclass(frozen=True)
class Variant:
    """One change to the arrangement of the paper (none for the base). ``changes``: fields of ``PaperConfig``."""

    name: str
    label: str
    changes: dict[str, Any]

    def of(self, model: PaperModelConfig) -> PaperModelConfig:
        return replace(model, paper=replace(model.paper, **self.changes))


VARIANTS: tuple[Variant, ...] = (
    Variant(BASE, "Conformer, sequential, semantic + acoustic", {}),
    Variant("linear", "linear adapter instead of the Conformer", {"encoder": "linear"}),
    Variant("wavefront", "wavefront order", {"order": "wavefront"}),
    Variant("parallel", "parallel order", {"order": "parallel"}),
    Variant("acoustic", "acoustic tokens only", {"streams": "acoustic"}),
)


def base_of(paper: PaperConfig) -> PaperConfig:
    """The recipe's sizes in the paper's own arrangement, whatever the recipe says of it."""
    return replace(paper, encoder="conformer", order="sequential", streams="both")
