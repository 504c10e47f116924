"""A short endless stream. The long one: ``python -m tests.soak engine long --frames 1000000``."""

from __future__ import annotations

from tests.engine.endless import faults, run


def test_an_old_stream_is_as_good_as_a_fresh_one() -> None:
    probes = list(run(2_400, 2))
    assert probes[0].of > 50
    assert not faults(probes, growth=64 << 20)
