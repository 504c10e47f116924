"""Plain torch: the truth that every other backend is tested against."""

from kernels.reference.depth_decode import Choice, DepthPlan, Emitted, depth_decode
from kernels.reference.depth_step import DepthHeads, DepthWeights, depth_logits, depth_step
from kernels.reference.layer import LayerWeights
from kernels.reference.rms_norm import rms_norm
from kernels.reference.rope import apply_rope, rope_frequencies, rope_rotation
from kernels.reference.swiglu import swiglu
from kernels.reference.temporal_step import temporal_step
from kernels.reference.window_attention import (
    masked_attention,
    ring_append,
    window_attention,
    window_attention_step,
    window_bias,
)

__all__ = [
    "Choice",
    "DepthHeads",
    "DepthPlan",
    "DepthWeights",
    "Emitted",
    "LayerWeights",
    "apply_rope",
    "depth_decode",
    "depth_logits",
    "depth_step",
    "masked_attention",
    "ring_append",
    "rms_norm",
    "rope_frequencies",
    "rope_rotation",
    "swiglu",
    "temporal_step",
    "window_attention",
    "window_attention_step",
    "window_bias",
]
