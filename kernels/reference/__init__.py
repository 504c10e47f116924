"""Plain torch: the truth that every other backend is tested against."""

from kernels.reference.depth_step import DepthHeads, DepthLayer, DepthWeights, depth_logits, depth_step
from kernels.reference.rmsnorm import rmsnorm
from kernels.reference.rope import apply_rope, rope_frequencies, rope_rotation
from kernels.reference.softmax_mean import softmax_mean
from kernels.reference.swiglu import swiglu
from kernels.reference.window_attention import (
    masked_attention,
    ring_append,
    window_attention,
    window_attention_step,
    window_bias,
)

__all__ = [
    "DepthHeads",
    "DepthLayer",
    "DepthWeights",
    "apply_rope",
    "depth_logits",
    "depth_step",
    "masked_attention",
    "ring_append",
    "rmsnorm",
    "rope_frequencies",
    "rope_rotation",
    "softmax_mean",
    "swiglu",
    "window_attention",
    "window_attention_step",
    "window_bias",
]
