"""Frames out of blocks of any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsep.audio.framer import Fifo, Framer


@given(size=st.integers(1, 50), blocks=st.lists(st.integers(0, 120), max_size=15))
def test_frames_are_the_sound_cut_in_order(size: int, blocks: list[int]) -> None:
    total = sum(blocks)
    sound = np.arange(2 * total, dtype=np.float32).reshape(2, total)
    framer = Framer(2, size)
    frames, start = [], 0
    for block in blocks:
        frames.append(framer.push(sound[:, start : start + block]))
        start += block
        assert framer.pending == start % size
    frames.append(framer.flush())
    joined = np.concatenate(frames).swapaxes(0, 1).reshape(2, -1)
    assert joined.shape[1] == -(-total // size) * size
    np.testing.assert_array_equal(joined[:, :total], sound)
    assert not joined[:, total:].any()


@given(pushes=st.lists(st.integers(0, 40), max_size=10), pops=st.lists(st.integers(0, 40), max_size=20))
def test_fifo_gives_back_what_it_was_given(pushes: list[int], pops: list[int]) -> None:
    total = sum(pushes)
    sound = np.arange(total, dtype=np.float32)[None]
    fifo, start = Fifo(1), 0
    for size in pushes:
        fifo.push(sound[:, start : start + size])
        start += size
    given_back, taken = [np.zeros((1, 0), np.float32)], 0
    for size in pops:
        if size <= total - taken:
            given_back.append(fifo.pop(size))
            taken += size
        assert len(fifo) == total - taken
    np.testing.assert_array_equal(np.concatenate(given_back, axis=1), sound[:, :taken])


def test_reset_forgets() -> None:
    framer = Framer(1, 4)
    framer.push(np.ones((1, 3), np.float32))
    framer.reset()
    assert framer.pending == 0
    assert framer.flush().shape == (0, 1, 4)


def test_wrong_use_is_refused() -> None:
    fifo = Fifo(2)
    with pytest.raises(ValueError, match=r"\[2, n\]"):
        fifo.push(np.zeros((3, 4), np.float32))
    with pytest.raises(ValueError, match="asked for 1"):
        fifo.pop(1)
