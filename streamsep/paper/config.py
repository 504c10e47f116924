"""Every number of a paper model. Knows shapes and names; knows nothing of torch."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from streamsep.config import CodecConfig

ENCODERS: tuple[str, ...] = ("conformer", "linear")
ORDERS: tuple[str, ...] = ("sequential", "wavefront", "parallel")
STREAMS: tuple[str, ...] = ("both", "semantic", "acoustic")


@dataclass(frozen=True)
class PaperConfig:
    """The sizes default to the paper's.

    ``encoder``: what makes the mixture embedding of mel bands, a Conformer or one linear map.
    ``order``: what a token may see of other stems, see ``streamsep.paper.arrangement``.
    ``streams``: which of the codec's codebooks are written.
    ``aligned``: tokens count time as the mixture's frames do and are given the frame they begin at besides. Off, the
    sequence is plain: positions run on from stem to stem, and where a frame is has to be learned.
    """

    encoder: str = "conformer"
    order: str = "sequential"
    streams: str = "both"
    aligned: bool = False
    frames: int = 125  # tokens a segment
    overlap: int = 13  # tokens that two neighbouring segments of a long song share
    mels: int = 80
    condition_dim: int = 512
    condition_layers: int = 6
    condition_heads: int = 8
    condition_kernel: int = 31
    condition_ff_mult: int = 4
    dim: int = 512
    layers: int = 12
    heads: int = 8
    mlp_dim: int = 2048
    rope_theta: float = 10_000.0

    def __post_init__(self) -> None:
        """Raise ValueError for a name that is unknown or a number that does not fit."""
        for what, value, known in (
            ("encoder", self.encoder, ENCODERS),
            ("order", self.order, ORDERS),
            ("streams", self.streams, STREAMS),
        ):
            if value not in known:
                raise ValueError(f"unknown {what} '{value}'; choose one of {', '.join(known)}")
        if not 0 < 2 * self.overlap < self.frames:
            raise ValueError(f"an overlap of {self.overlap} tokens does not fit into a segment of {self.frames}")
        if not self.condition_kernel % 2:
            raise ValueError(f"a kernel of {self.condition_kernel} has no middle; give an odd one")

    def books(self, codec: CodecConfig) -> slice:
        """The codec's codebooks that are written."""
        semantic = codec.semantic_codebooks
        return {
            "both": slice(0, codec.codebooks),
            "semantic": slice(0, semantic),
            "acoustic": slice(semantic, codec.codebooks),
        }[self.streams]


@dataclass(frozen=True)
class PaperModelConfig:
    """A paper model: its codec and the rest."""

    codec: CodecConfig = field(default_factory=CodecConfig)
    paper: PaperConfig = field(default_factory=PaperConfig)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2)

    @staticmethod
    def from_dict(raw: dict[str, Any]) -> PaperModelConfig:
        return PaperModelConfig(CodecConfig(**raw["codec"]), PaperConfig(**raw["paper"]))
