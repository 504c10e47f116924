"""Numbers of float16 inside compiled kernels, which know none. Knows bits; no op."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _wide(typingctx: Any, x: Any) -> Any:
    """A float32: of the bits of a float16, which are a uint16, of an int8, or of one that is one already. Exact."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if signature.args[0] == types.float32:
            return args[0]
        if signature.args[0] == types.int8:
            return builder.sitofp(args[0], ir.FloatType())
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(x), generate if x in (types.float32, types.uint16, types.int8) else None


wide: Any = intrinsic(_wide)  # for compiled code only
