"""Other people's code for the same work, to compare with. Knows libraries; none is needed to run the ops."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch

from kernels.reference.pages import locate

Call = Callable[[], Any]


def rivals(op: str, inputs: tuple[Any, ...], compiles: bool, reference: Callable[..., Any]) -> dict[str, Call | str]:
    """Name → a call that does the same work, or a sentence why there is none."""
    out: dict[str, Call | str] = {}
    if compiles:
        compiled = torch.compile(reference, dynamic=False)
        out["torch.compile"] = lambda: compiled(*inputs)
    if op == "paged_attention":
        out.update(_attention(*inputs, compiles=compiles))
    return out


def _attention(
    q: Any, k_pages: Any, v_pages: Any, table: Any, position: Any, length: Any, window: int, compiles: bool
) -> dict[str, Call | str]:
    """Attention of one query over a contiguous window, which spares these calls what paging costs."""
    out: dict[str, Call | str] = {}
    if q.shape[1] == 1:
        keys = position.unsqueeze(1) + torch.arange(1 - window, 1, device=q.device)
        page, row = locate(table, keys, k_pages.shape[1])
        q_, k, v = (x.transpose(1, 2).contiguous() for x in (q, k_pages[page, row], v_pages[page, row]))
        sdpa = torch.nn.functional.scaled_dot_product_attention
        out["SDPA, contiguous"] = lambda: sdpa(q_, k, v, enable_gqa=True)
        if compiles:
            from torch.nn.attention.flex_attention import flex_attention

            flex = torch.compile(flex_attention, dynamic=False)
            out["FlexAttention, contiguous"] = lambda: flex(q_, k, v, enable_gqa=True)
    out["FlashInfer"] = _flashinfer(q, k_pages, v_pages, table, position, window)
    out["vLLM"] = _vllm(q, k_pages, v_pages, table, window)
    return out


def _flashinfer(q: Any, k_pages: Any, v_pages: Any, table: Any, position: Any, window: int) -> Call | str:
    """Its decode wrapper over the same pages, whole rings (unmeasured: written without a GPU at hand)."""
    if q.device.type != "cuda":
        return "runs on CUDA only"
    try:
        flashinfer = importlib.import_module("flashinfer")
    except ImportError as error:
        return f"cannot be imported: {error}"
    slots, columns = table.shape
    page, kv_heads, dim = k_pages.shape[1:]
    wrapper = flashinfer.BatchDecodeWithPagedKVCacheWrapper(torch.empty(128 << 20, dtype=torch.uint8, device=q.device))
    wrapper.plan(
        torch.arange(slots + 1, dtype=torch.int32, device=q.device) * columns,
        table.flatten(),
        torch.full((slots,), page, dtype=torch.int32, device=q.device),
        q.shape[2],
        kv_heads,
        dim,
        page,
        window_left=window - 1,
        data_type=q.dtype,
    )
    return lambda: wrapper.run(q.squeeze(1), (k_pages, v_pages))


def _vllm(q: Any, k_pages: Any, v_pages: Any, table: Any, window: int) -> Call | str:
    """Its Triton attention over the same pages, whole rings (unmeasured: written without a GPU at hand)."""
    if q.device.type != "cuda":
        return "runs on CUDA only"
    try:
        module = importlib.import_module("vllm.attention.ops.triton_unified_attention")
    except ImportError as error:
        return f"cannot be imported: {error}"
    slots, columns = table.shape
    y = torch.empty_like(q.squeeze(1))
    starts = torch.arange(slots + 1, dtype=torch.int32, device=q.device)
    seen = torch.full((slots,), columns * k_pages.shape[1], dtype=torch.int32, device=q.device)
    return lambda: module.unified_attention(
        q=q.squeeze(1), k=k_pages, v=v_pages, out=y, cu_seqlens_q=starts, max_seqlen_q=1, seqused_k=seen,
        max_seqlen_k=columns * k_pages.shape[1], softmax_scale=q.shape[-1] ** -0.5, causal=True,
        window_size=(window - 1, 0), block_table=table, softcap=0, q_descale=None, k_descale=None, v_descale=None,
    )  # fmt: skip
