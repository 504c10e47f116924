"""Which calls of a stream belong to which stage, and how a tracer is hung onto them. Knows the stream's inside; times
nothing itself.

The stages of a frame, in their order:

    resample   to 48 kHz and back; nothing at 48 kHz
    frame      blocks of any size into frames
    features   STFT, level, features of the bands
    condition  Conformer, guide head
    temporal   a step of the temporal transformer
    depth      the frame's tokens, step after step
    decode     tokens to envelopes, fusion with the guide; with the codec render its decoder
    render     masks on the mixture, inverse STFT
    copy       between numpy and torch, into the stems that the caller gets
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from streamsep.engine.stream import Stream
from streamsep.profile.tracer import Tracer

STAGES: tuple[str, ...] = (
    "resample",
    "frame",
    "features",
    "condition",
    "temporal",
    "depth",
    "decode",
    "render",
    "copy",
)
_NET = "_batch._parts.net"


@dataclass(frozen=True)
class Probe:
    """The method ``method`` of the object at the dotted ``path`` from the stream belongs to ``stage``."""

    stage: str
    name: str
    path: str
    method: str


PROBES: tuple[Probe, ...] = (
    Probe("copy", "push", "", "push"),
    Probe("frame", "checked in", "_lane", "push"),
    Probe("frame", "next frame", "_lane", "next"),
    Probe("resample", "resample in", "_lane._into", "push"),
    Probe("copy", "to torch and back", "", "_tick"),
    Probe("copy", "batch", "_batch", "tick"),
    Probe("copy", "gather", "_batch", "_gather"),
    Probe("features", "frame of the net", "_batch", "_run"),
    Probe("features", "STFT", "_batch._parts.stft", "step"),
    Probe("condition", "net", _NET, "step"),
    Probe("condition", "trunk", f"{_NET}.trunk", "step"),
    Probe("features", "level", f"{_NET}.trunk", "track_level"),
    Probe("features", "encoder", f"{_NET}.trunk.encoder", "step"),
    Probe("features", "band embedding", f"{_NET}.trunk.encoder", "band_embedding"),
    Probe("condition", "merged bands", f"{_NET}.trunk.encoder", "_merged_step"),
    Probe("condition", "Conformer", f"{_NET}.trunk.encoder.conformer", "step"),
    Probe("condition", "Conformer block", f"{_NET}.trunk.encoder.conformer", "conformer_step"),
    Probe("condition", "guide head", f"{_NET}.trunk.guide", "step"),
    Probe("condition", "recall", _NET, "_recall"),
    Probe("condition", "guide envelopes", _NET, "guide_envelopes"),
    Probe("condition", "pool", f"{_NET}.pool", "forward"),
    Probe("depth", "language model", f"{_NET}.lm", "step"),
    Probe("temporal", "temporal entry", f"{_NET}.lm", "temporal_entry"),
    Probe("temporal", "temporal transformer", f"{_NET}.lm.temporal", "step_rows"),
    Probe("temporal", "temporal layer", f"{_NET}.lm.temporal", "layer_step"),
    Probe("depth", "depth entry", f"{_NET}.lm.kernels", "entry"),
    Probe("depth", "depth kernel", f"{_NET}.lm.kernels", "decode"),
    Probe("depth", "posterior mean", f"{_NET}.lm.kernels", "mean"),
    Probe("decode", "masks", _NET, "_masks"),
    Probe("decode", "semantic decoder", f"{_NET}.codec.semantic", "decode_step"),
    Probe("decode", "fuse", _NET, "fuse_masks"),
    Probe("render", "sound of a frame", "_batch._frame_step", "_render"),
    Probe("render", "spatial gains", "_batch._parts.mask.places", "gains"),
    Probe("render", "mask render", "_batch._parts.mask", "render"),
    Probe("render", "sound of a hop", "_batch", "_render_hops"),
    Probe("decode", "codec decoder", "_batch._parts.codec.codec", "decode_step"),
    Probe("copy", "stems of a tick", "_lane", "give"),
    Probe("resample", "resample back", "_lane._back", "push"),
    Probe("copy", "take", "_lane", "take"),
    Probe("copy", "named stems", "", "_named"),
)


@contextmanager
def attached(stream: Stream, tracer: Tracer) -> Iterator[None]:
    """Time ``stream`` by ``tracer`` while the context lasts; afterwards it is as it was.

    A stream has no use for some probes (a mask renderer holds no codec): those stay out.
    """
    placed: list[tuple[Any, str, bool, Any]] = []
    try:
        for probe in PROBES:
            owner = _find(stream, probe.path)
            function = None if owner is None else getattr(owner, probe.method, None)
            if owner is None or function is None:
                continue
            own = probe.method in vars(owner)  # a kernel that was chosen, not a method of the class
            setattr(owner, probe.method, tracer.timed(probe.stage, probe.name, function))
            placed.append((owner, probe.method, own, function))
        yield
    finally:
        for owner, method, own, function in reversed(placed):
            if own:
                setattr(owner, method, function)
            else:
                delattr(owner, method)


def _find(stream: Stream, path: str) -> Any:
    owner: Any = stream
    for name in path.split(".") if path else ():
        owner = getattr(owner, name, None)
    return owner
