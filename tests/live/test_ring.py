"""The ring: positions, overwriting, restarts, and a writer in another process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

import numpy as np
import pytest

from streamsep.live.ring import Ring


@pytest.fixture
def ring() -> Iterator[Ring]:
    ring = Ring.create(2, 64)
    yield ring
    ring.close()


def ramp(start: int, count: int) -> np.ndarray:
    return np.arange(start, start + count, dtype=np.float32) * np.array([[1], [-1]], np.float32)


def test_reads_what_was_written_around_the_corner(ring: Ring) -> None:
    done = 0
    for count in (5, 0, 40, 31, 7, 100, 3):
        ring.write(ramp(done, count))
        done += count
        assert ring.end == done
        last = min(done, 40)
        assert np.array_equal(ring.read(done - last, last), ramp(done - last, last))


def test_what_is_not_there_is_none(ring: Ring) -> None:
    assert ring.read(0, 1) is None
    ring.write(ramp(0, 48))
    assert ring.read(0, 48) is not None
    assert ring.read(40, 9) is None
    ring.write(ramp(48, 16))
    assert ring.read(0, 8) is None  # about to be overwritten
    assert ring.read(16, 48) is not None


def test_a_restart_keeps_what_reaches_up_to_it(ring: Ring) -> None:
    ring.write(ramp(0, 30))
    ring.restart(20)
    assert (ring.begin, ring.end) == (0, 20)
    assert np.array_equal(ring.read(0, 20), ramp(0, 20))
    assert ring.read(19, 2) is None
    ring.write(ramp(20, 80))
    ring.restart(90)
    assert np.array_equal(ring.read(60, 30), ramp(60, 30))
    assert ring.read(51, 39) is None  # its place may hold what was written beyond 90 before
    ring.restart(10)
    assert (ring.begin, ring.end) == (10, 10)


def test_a_restart_after_a_gap_forgets_what_was_before(ring: Ring) -> None:
    ring.write(ramp(0, 30))
    ring.restart(1_000)
    assert (ring.begin, ring.end) == (1_000, 1_000)
    assert ring.read(20, 5) is None
    ring.write(ramp(1_000, 10))
    assert np.array_equal(ring.read(1_000, 10), ramp(1_000, 10))
    assert ring.read(999, 2) is None


def write_ramps(name: str, blocks: int) -> None:
    ring = Ring.attach(name, 2, 4_096)
    for index in range(blocks):
        ring.write(ramp(index * 97 % 1_000_000, 97))
    ring.close()


def test_another_process_writes_and_no_read_is_torn() -> None:
    ring, blocks = Ring.create(2, 4_096), 2_000
    try:
        process = multiprocessing.get_context("spawn").Process(target=write_ramps, args=(ring.name, blocks))
        process.start()
        reads = 0
        while process.is_alive():
            end = ring.end // 97 * 97
            for back in (97, 97 * 20, 97 * 30):
                block = ring.read(max(0, end - back), 97)
                if block is not None:
                    start = max(0, end - back) % 1_000_000 if end < 1_000_000 else block[0, 0]
                    assert np.array_equal(block, ramp(int(start), 97))
                    reads += 1
        process.join()
        assert process.exitcode == 0
        assert ring.end == blocks * 97
        assert reads
    finally:
        ring.close()


def test_refuses_sizes_that_make_no_ring() -> None:
    with pytest.raises(ValueError, match="channel"):
        Ring.create(0, 64)
