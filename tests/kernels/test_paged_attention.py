"""Attention over pages and what is appended to them, every backend against the reference in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.reference import rope_frequencies, window_attention
from kernels.reference.norm_qkv_rope_append import norm_qkv_rope_append
from kernels.reference.paged_attention import paged_attention
from kernels.reference.pages import ring_pages
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

# (positions, lengths), (heads, kv_heads), head_dim, page, window, rows
SHAPES = [
    pytest.param(([0], [1]), (1, 1), 16, 4, 1, 1, id="length-1"),
    pytest.param(([6, 7, 8], [1, 1, 1]), (4, 2), 16, 4, 8, 1, id="window-1-to-window+1"),
    pytest.param(([3, 4, 0], [1, 1, 1]), (2, 2), 20, 4, 7, 1, id="page-edge"),
    pytest.param(([36, 37], [1, 1]), (8, 1), 32, 4, 11, 1, id="three-wraps-gqa-8"),
    pytest.param(([5, 29, 2**33 + 3], [1, 0, 1]), (7, 7), 13, 5, 9, 1, id="primes-empty-slot-far-position"),
    pytest.param(([0, 61, 130], [1, 1, 1]), (4, 1), 16, 16, 67, 1, id="gqa-4-several-key-blocks"),
    pytest.param(([0, 5, 40], [3, 2, 0]), (4, 2), 16, 4, 6, 3, id="chunk"),
    pytest.param(([33], [41]), (2, 1), 16, 8, 19, 41, id="chunk-longer-than-window"),
    pytest.param(([0], [17]), (6, 3), 16, 8, 64, 17, id="prefill-from-nothing"),
]

EVEN = [shape for shape in SHAPES if shape.values[2] % 2 == 0]  # RoPE turns pairs


def _pool(positions: list[int], kv_heads: int, dim: int, page: int, window: int, rows: int) -> tuple[Tensor, ...]:
    """Pages where all that is not the past of some slot's window is NaN, and a shuffled table."""
    generator = torch.Generator().manual_seed(sum(positions) % 1000 + rows)
    columns, slots = ring_pages(window, page, rows) + 1, len(positions)
    pages = torch.full((2, slots * columns + 1, page, kv_heads, dim), torch.nan)
    table = torch.randperm(slots * columns, generator=generator).view(slots, columns).to(torch.int32)
    for slot, position in enumerate(positions):
        for at in range(max(0, position - window), position):
            cell = table[slot, at // page % columns], at % page
            pages[:, cell[0], cell[1]] = torch.randn(2, kv_heads, dim, generator=generator)
    return pages[0], pages[1], table


def _fill(pages: Tensor, table: Tensor, positions: list[int], lengths: list[int], rows: Tensor) -> None:
    page = pages.shape[1]
    for slot, (position, length) in enumerate(zip(positions, lengths, strict=True)):
        for t in range(length):
            at = position + t
            pages[table[slot, at // page % table.shape[1]].long(), at % page] = rows[slot, t]


def _attention(state: Any, heads: Any, dim: int, page: int, window: int, rows: int) -> list[Any]:
    positions, lengths = state
    k_pages, v_pages, table = _pool(positions, heads[1], dim, page, window, rows)
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(len(positions), rows, h, dim, generator=generator) for h in (heads[0], *heads[1:] * 2))
    _fill(k_pages, table, positions, lengths, k)
    _fill(v_pages, table, positions, lengths, v)
    return [q, k_pages, v_pages, table, torch.tensor(positions), torch.tensor(lengths), window]


@pytest.mark.parametrize(("state", "heads", "dim", "page", "window", "rows"), SHAPES)
@pytest.mark.parametrize(("backend", "dtype"), backends("paged_attention"))
def test_attention(
    backend: str, dtype: torch.dtype, state: Any, heads: Any, dim: int, page: int, window: int, rows: int
) -> None:
    inputs = to(_attention(state, heads, dim, page, window, rows), dtype)
    exact = paged_attention(*to(inputs, torch.float64))
    plain = paged_attention(*inputs)
    ours = load("paged_attention", backend)(*to(inputs, dtype, backend))
    assert exact.isfinite().all()
    assert_close_as_torch(ours, plain, exact)
    for slot, length in enumerate(state[1]):
        assert (ours[slot, length:] == 0).all()


@pytest.mark.parametrize("backend", ["reference", *names("paged_attention")])
def test_of_an_idle_slot_nothing_is_read(backend: str) -> None:
    inputs = _attention(([61, 62, 63], [1, 0, 1]), (4, 2), 16, 16, 32, 1)
    alone = [x[[0, 2]] if index in (0, 3, 4, 5) else x for index, x in enumerate(inputs[:6])]
    expected = paged_attention(*to([*alone, inputs[6]], torch.float64)).cpu()
    inputs[3][1] = 2**30  # of no page that there is
    inputs[0][1] = torch.nan
    ours = load("paged_attention", backend)(*to(inputs, torch.float32, backend)).double().cpu()
    assert (ours[1] == 0).all()
    torch.testing.assert_close(ours[[0, 2]], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("splits", [2, 3, 7])
@pytest.mark.parametrize(("backend", "dtype"), [p for p in backends("paged_attention") if p.values[0] == "triton"])
def test_split_keys_are_joined(backend: str, dtype: torch.dtype, splits: int) -> None:
    inputs = to(_attention(([0, 61, 250, 4], [2, 2, 1, 0]), (4, 2), 16, 16, 131, 2), dtype)
    ours = load("paged_attention", backend)(*to(inputs, dtype, backend), splits=splits)
    assert_close_as_torch(ours, paged_attention(*inputs), paged_attention(*to(inputs, torch.float64)))


@pytest.mark.parametrize(
    ("state", "heads", "dim", "page", "window", "rows"), [s for s in SHAPES if s.values[2] % 2 == 0]
)
@pytest.mark.parametrize(("backend", "dtype"), backends("norm_qkv_rope_append"))
def test_append(
    backend: str, dtype: torch.dtype, state: Any, heads: Any, dim: int, page: int, window: int, rows: int
) -> None:
    positions, lengths = state
    k_pages, v_pages, table = _pool(positions, heads[1], dim, page, window, rows)
    width, generator = 37, torch.Generator().manual_seed(2)
    x = torch.randn(len(positions), rows, width, generator=generator)
    norm = 1 + 0.3 * torch.randn(width, generator=generator)
    qkv = torch.randn((heads[0] + 2 * heads[1]) * dim, width, generator=generator) / width**0.5
    counters = [table, torch.tensor(positions), torch.tensor(lengths), rope_frequencies(dim)]
    inputs = to([x, norm, qkv, k_pages, v_pages, *counters], dtype)
    wide, own = to(inputs, torch.float64), to(inputs, dtype, backend)
    exact, plain = norm_qkv_rope_append(*wide), norm_qkv_rope_append(*inputs)
    ours = load("norm_qkv_rope_append", backend)(*own)
    for slot, length in enumerate(lengths):
        assert_close_as_torch(ours[slot, :length], plain[slot, :length], exact[slot, :length]) if length else None
    for cache in (3, 4):
        assert_close_as_torch(own[cache], inputs[cache], wide[cache])


@pytest.mark.parametrize("backend", ["reference", *names("paged_attention")])
def test_steps_and_chunks_over_pages_equal_the_sequence(backend: str) -> None:
    length, window, page, heads, kv_heads, dim = 29, 6, 4, 4, 2, 16
    generator = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(2, length, h, dim, generator=generator) for h in (heads, kv_heads, kv_heads))
    expected = window_attention(q.double(), k.double(), v.double(), window)
    for chunk in (1, 5):
        columns = ring_pages(window, page, chunk)
        pages = torch.full((2, 2 * columns, page, kv_heads, dim), torch.nan)
        table = torch.randperm(2 * columns, generator=generator).view(2, columns)
        for start in range(0, length, chunk):
            rows = min(chunk, length - start)
            state = [start, start], [rows, rows]
            part = slice(start, start + rows)
            _fill(pages[0], table, *state, k[:, part])
            _fill(pages[1], table, *state, v[:, part])
            inputs = [q[:, part], pages[0], pages[1], table, *map(torch.tensor, state), window]
            ours = load("paged_attention", backend)(*to(inputs, torch.float32, backend))
            torch.testing.assert_close(ours.double().cpu(), expected[:, part], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("backend", ["reference", *names("paged_attention")])
def test_a_ring_too_short_is_refused(backend: str) -> None:
    q, pages, count = torch.zeros(1, 5, 1, 16), torch.zeros(2, 4, 1, 16), torch.tensor([0])
    inputs = to([q, pages, pages, torch.tensor([[0, 1]]), count, count], torch.float32, backend)
    load("paged_attention", backend)(*inputs, 4)
    with pytest.raises(ValueError, match="too short"):
        load("paged_attention", backend)(*inputs, 5)


def test_pages_of_other_slots_are_never_read() -> None:
    inputs = _attention(([9, 30], [1, 1]), (2, 1), 16, 4, 7, 1)
    expected = paged_attention(*inputs)
    mine = inputs[3][0].long()
    others = torch.ones(len(inputs[1]), dtype=torch.bool).index_fill(0, mine, False)
    inputs[1][others], inputs[2][others] = torch.nan, torch.nan
    assert torch.equal(paged_attention(*inputs)[0], expected[0])


@pytest.mark.parametrize("position", [0, 1, 2**31 - 1, 2**31, 2**32 + 7, 2**40 - 1])
@pytest.mark.parametrize("backend", ["reference", *names("norm_qkv_rope_append")])
def test_phase_of_a_key_is_right_to_a_millionth_of_a_radian_at_any_position(backend: str, position: int) -> None:
    """A key that is (1, …, 1, 0, …, 0) before its rotation shows cosine and sine of its angles."""
    dim, page = 32, 4
    frequencies = rope_frequencies(dim)
    qkv = torch.zeros(3 * dim, dim)
    qkv[dim : dim + dim // 2, 0] = 1.0
    x = torch.zeros(1, 1, dim)
    x[0, 0, 0] = 1.0
    norm = torch.full((dim,), dim**-0.5)
    pages = torch.zeros(2, 3, page, 1, dim)
    one = torch.tensor([1])
    counters = [torch.tensor([[0, 1, 2]]), torch.tensor([position]), one, frequencies, 0.0]
    inputs = to([x, norm, qkv, pages[0], pages[1], *counters], torch.float32, backend)
    load("norm_qkv_rope_append", backend)(*inputs)
    key = inputs[3][position // page % 3, position % page, 0].double().cpu()
    angle = torch.atan2(key[dim // 2 :], key[: dim // 2])
    for i, turns in enumerate(frequencies.tolist()):
        exact = 2 * math.pi * (position * turns % 2**32) / 2**32  # Python's integers do not overflow
        assert abs(math.remainder(angle[i].item() - exact, 2 * math.pi)) <= 1e-6


def test_a_float32_phase_would_be_off_by_a_radian_after_a_week() -> None:
    """Why the phase is an integer: the usual formula in float32, at 25 frames a second."""
    frequencies = rope_frequencies(32)
    inverse = torch.tensor([10_000.0 ** (-i / 16) for i in range(16)])
    week = 7 * 24 * 3600 * 25
    errors = {}
    for position in (25 * 3600, week, 2**31):
        angle = torch.tensor(float(position)) * inverse
        exact = [position * 10_000.0 ** (-i / 16) for i in range(16)]
        errors[position] = max(
            abs(math.remainder(a - b, 2 * math.pi)) for a, b in zip(angle.tolist(), exact, strict=True)
        )
    assert frequencies[0] == round(2**32 / (2 * math.pi))
    assert errors[25 * 3600] > 1e-4 and errors[week] > 0.1 and errors[2**31] > 1.0, errors
