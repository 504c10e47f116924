"""Tracer: own times add up to the whole; results, errors and what was there before stay as they are."""

from __future__ import annotations

import time

import numpy as np
import pytest

from streamsep.engine.separator import Separator
from streamsep.profile.probes import STAGES, attached
from streamsep.profile.tracer import Tracer
from tests.sounds import tune


def test_a_calls_own_time_is_without_the_calls_in_it() -> None:
    tracer = Tracer(keep=True)
    inner = tracer.timed("in", "inner", lambda: time.sleep(0.01))
    outer = tracer.timed("out", "outer", lambda: (inner(), inner()))
    outer()
    calls = {span.name: span for span in tracer.spans}
    taken = tracer.take()
    assert sum(taken.values()) == calls["outer"].duration
    assert taken["in"] >= 20_000_000
    assert taken["out"] == calls["outer"].duration - taken["in"]
    assert tracer.parts()["inner"][0] == 2
    assert tracer.take() == {}


def test_errors_pass_through_and_are_timed() -> None:
    tracer = Tracer()

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        tracer.timed("s", "n", fail)()
    assert tracer.parts()["n"][0] == 1


@pytest.mark.parametrize("rate", [48_000, 44_100])
@pytest.mark.parametrize("lookahead", [-1, 0, 2])
def test_a_traced_stream_gives_the_same_bits_and_is_left_as_it_was(
    separator: Separator, rate: int, lookahead: int
) -> None:
    song = tune(0.5, rate, 2)
    plain, traced = (separator.stream(rate, 2, lookahead) for _ in range(2))
    before = _attributes(traced)
    tracer = Tracer()
    with attached(traced, tracer):
        heard = [traced.push(song), traced.flush()]
    expected = [plain.push(song), plain.flush()]
    for one, other in zip(heard, expected, strict=True):
        for stem in one:
            np.testing.assert_array_equal(one[stem], other[stem])
    assert _attributes(traced) == before
    wanted = set(STAGES) - ({"resample"} if rate == 48_000 else set())
    assert wanted <= {stage for stage, spent in tracer.take().items() if spent > 0}
    traced.push(song)
    assert tracer.take() == {}


def test_the_codecs_decoder_counts_as_decode(codec_separator: Separator) -> None:
    stream, tracer = codec_separator.stream(48_000, 2), Tracer()
    with attached(stream, tracer):
        stream.push(tune(0.2, 48_000, 2))
    assert tracer.parts()["codec decoder"][0] == 5


def test_an_error_in_the_stream_leaves_no_probe_behind(separator: Separator) -> None:
    stream = separator.stream(48_000, 2)
    before = _attributes(stream)
    with pytest.raises(RuntimeError), attached(stream, Tracer()):
        raise RuntimeError
    assert _attributes(stream) == before


def _attributes(stream: object) -> dict[str, list[str]]:
    """Names in the dictionaries of a stream and of what it consists of."""
    batch = stream._batch  # pyright: ignore[reportAttributeAccessIssue]
    net = batch._parts.net
    parts = (stream, stream._lane, batch, batch._frame_step, net, net.lm, net.trunk, net.trunk.encoder)  # pyright: ignore[reportAttributeAccessIssue]
    return {str(index): sorted(vars(part)) for index, part in enumerate(parts)}
