"""Launch every Triton kernel once a precision, at sizes that fill no block: something for a memory checker to watch.

    compute-sanitizer --tool memcheck python -m tests.kernels.launches

Needs a GPU. A line ``op precision`` each; the exit code is the checker's.
"""

from __future__ import annotations

import sys

import torch

from kernels.inputs import contract, make_inputs
from kernels.reference.case import Case
from kernels.registry import IMPLEMENTATIONS, resolve

_ODD = {"slots": 5, "rows": 3, "frames": 3}  # of those that an op has


def odd(case: Case) -> dict[str, int]:
    return {name: min(size, _ODD.get(name, size)) for name, size in case.sizes.items()}


def main() -> int:
    if not torch.cuda.is_available():
        print("torch finds no CUDA device here; a memory checker needs one.", file=sys.stderr)
        return 2
    torch.manual_seed(0)
    with torch.inference_mode():
        for known in IMPLEMENTATIONS:
            if known.backend != "triton":
                continue
            function, case = resolve(known.op, "cuda", "triton").function, contract(known.op).cases()[-1]
            for dtype in (torch.float32, torch.bfloat16):
                function(*make_inputs(known.op, odd(case), dtype, "cuda"))
                torch.cuda.synchronize()
                print(known.op, str(dtype).removeprefix("torch."), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
