"""Every number that defines a model, as frozen dataclasses. Knows shapes and units; knows nothing of torch."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHIPPED_MODELS = Path(__file__).with_name("weights")
STEMS: tuple[str, ...] = ("vocals", "drums", "bass", "other")
SAMPLE_RATE = 48_000
FRAME = 1_920  # samples a frame: 40 ms
HOP = 960  # samples between STFT columns: two columns ("subframes") a frame
WINDOW = 1_920  # samples of an STFT window
BINS = WINDOW // 2 + 1
SUBFRAMES = FRAME // HOP
PREDICTIVE_HOP = 480  # samples between windows of the renderer for lookahead -1; four a frame
LOOKAHEADS: tuple[int, ...] = (-1, 0, 1, 2)

# (number of trunk bands, STFT bins in one envelope band); every trunk band holds four envelope bands.
_BAND_PLAN: tuple[tuple[int, int], ...] = ((8, 1), (6, 2), (6, 4), (5, 8), (3, 16))
ENVELOPES_PER_BAND = 4


def envelope_edges() -> tuple[int, ...]:
    """Edges, in STFT bins, of the 120 envelope bands: 1 bin (25 Hz) wide up to 800 Hz, then widening.

    Returns a tuple of 121 increasing integers from 0 to ``BINS``.
    """
    edges = [0]
    for bands, width in _BAND_PLAN:
        for _ in range(bands * ENVELOPES_PER_BAND):
            edges.append(edges[-1] + width)
    rest = BINS - edges[-1]
    tail = 2 * ENVELOPES_PER_BAND
    start = edges[-1]
    edges.extend(start + round(rest * (i + 1) / tail) for i in range(tail))
    return tuple(edges)


def trunk_edges() -> tuple[int, ...]:
    """Edges, in STFT bins, of the 30 trunk bands (every fourth envelope edge)."""
    return envelope_edges()[::ENVELOPES_PER_BAND]


ENVELOPES = len(envelope_edges()) - 1  # 120
TRUNK_BANDS = ENVELOPES // ENVELOPES_PER_BAND  # 30


@dataclass(frozen=True)
class CodecConfig:
    """Dual-path codec: residual vector quantizers over stem envelopes (semantic) and stem spectra (acoustic)."""

    semantic_codebooks: int = 4
    acoustic_codebooks: int = 4
    codebook_size: int = 512
    code_dim: int = 64
    dim: int = 192  # semantic path
    acoustic_dim: int = 128  # acoustic encoder and decoder
    band_width: int = 8  # channels a trunk band has where bins are folded in and out
    semantic_layers: int = 2
    encoder_layers: int = 2
    decoder_layers: int = 4
    ff_mult: int = 2
    kernel: int = 5
    quantizer_dropout: float = 0.25  # of training frames: decoded from fewer codebooks

    @property
    def codebooks(self) -> int:
        return self.semantic_codebooks + self.acoustic_codebooks


@dataclass(frozen=True)
class ConditionConfig:
    """Band-split causal Conformer over the mixture."""

    band_dim: int = 32  # a trunk band outside the Conformer
    tokens: int = 6  # of a frame; neighbouring bands are merged to one
    shared: tuple[int, ...] = ()  # tokens of each group of bands: all of them hear it, each speaks for a part; (): one
    dim: int = 128
    layers: int = 4
    heads: int = 4
    kernel: int = 5
    left_context: int = 48  # frames a layer's attention sees, its own included
    ff_mult: int = 2
    out_dim: int = 256
    zoom: int = 0  # STFT columns over which low bins are resolved further, 0: they are not

    def __post_init__(self) -> None:
        if sum(self.per_group) != self.tokens or TRUNK_BANDS % len(self.per_group):
            raise ValueError(f"{self.tokens} tokens are not {list(self.per_group)} for groups of {TRUNK_BANDS} bands.")
        if self.zoom % SUBFRAMES or 0 < self.zoom < 2 * SUBFRAMES:
            raise ValueError(f"a zoom of {self.zoom} columns is not of whole frames, two at least.")

    @property
    def per_group(self) -> tuple[int, ...]:
        """Tokens of each group of neighbouring trunk bands."""
        return self.shared or (1,) * self.tokens

    @property
    def group_of_token(self) -> tuple[int, ...]:
        """The group that each token hears."""
        return tuple(group for group, tokens in enumerate(self.per_group) for _ in range(tokens))

    @property
    def token_of_band(self) -> tuple[int, ...]:
        """The token that speaks for each trunk band."""
        width, first = TRUNK_BANDS // len(self.per_group), 0
        found: list[int] = []
        for tokens in self.per_group:
            found += [first + band * tokens // width for band in range(width)]
            first += tokens
        return tuple(found)


@dataclass(frozen=True)
class LMConfig:
    """Temporal transformer (one step a frame) and depth transformer (the codes of a frame)."""

    dim: int = 256
    layers: int = 4
    heads: int = 8
    kv_heads: int = 2
    window: int = 128  # frames
    mlp_dim: int = 448
    rope_theta: float = 10_000.0
    depth_dim: int = 192
    depth_layers: int = 2
    depth_heads: int = 4
    depth_mlp_dim: int = 320
    order: str = "wavefront"  # wavefront | sequential | parallel


@dataclass(frozen=True)
class ModelConfig:
    """The whole net."""

    name: str = "tiny"
    codec: CodecConfig = field(default_factory=CodecConfig)
    condition: ConditionConfig = field(default_factory=ConditionConfig)
    lm: LMConfig = field(default_factory=LMConfig)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2)

    @staticmethod
    def from_dict(raw: dict[str, Any]) -> ModelConfig:
        condition: dict[str, Any] = {**raw["condition"], "shared": tuple(raw["condition"].get("shared", ()))}
        return ModelConfig(
            name=raw["name"],
            codec=CodecConfig(**raw["codec"]),
            condition=ConditionConfig(**condition),
            lm=LMConfig(**raw["lm"]),
        )
