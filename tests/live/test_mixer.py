"""The mixer with rings that the test fills: alignment, gains, gaps, and no step above the programme's own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamsep.config import STEMS
from streamsep.live.gains import Gains
from streamsep.live.mixer import FADE, Mixer
from streamsep.live.ring import Ring

BLOCK, DELAY = 480, 4_000


@dataclass
class Bench:
    """A song of four tones; ``run`` feeds it block by block, with the results ``lag`` samples behind the input."""

    source: Ring
    results: Ring
    gains: Gains
    mixer: Mixer

    def __post_init__(self) -> None:
        time = np.arange(192_000) / 48_000
        tones = [0.2 * np.sin(2 * np.pi * f * time) for f in (220, 90, 55, 330)]
        self.stems = np.stack([[tone, -tone] for tone in tones]).astype(np.float32)  # [stems, 2, samples]
        self.mixture = self.stems.sum(0)

    def run(self, blocks: int, lag: int | None = 3_000) -> np.ndarray:
        """``lag`` None: the model is silent."""
        out = []
        for _ in range(blocks):
            end = self.source.end
            self.source.write(self.mixture[:, end : end + BLOCK])
            if lag is not None:
                done, until = self.results.end, max(self.results.end, self.source.end - lag)
                self.results.write(self.stems[:, :, done:until].reshape(8, -1))
            out.append(self.mixer.pull(BLOCK))
        return np.concatenate(out, axis=1)

    def step(self) -> float:
        """The largest step from sample to sample of the song itself."""
        return float(np.abs(np.diff(self.mixture)).max())


@contextmanager
def benches(results: Ring | None = None) -> Iterator[Bench]:
    source, gains = Ring.create(2, 1 << 17), Gains("all")
    results = results or Ring.create(8, 1 << 17)
    yield Bench(source, results, gains, Mixer(source, results, gains, DELAY))
    source.close()
    results.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with benches() as bench:
        yield bench


def largest_step(out: np.ndarray) -> float:
    return float(np.abs(np.diff(out)).max())


def test_with_all_gains_at_one_the_output_is_the_input_delayed(bench: Bench) -> None:
    out = bench.run(150)
    wanted = bench.mixture[:, : out.shape[1] - DELAY]
    assert np.abs(out[:, DELAY:] - wanted).max() < 1e-6
    assert bench.mixer.fill == DELAY
    assert bench.mixer.counts.underruns == 0


def test_a_muted_stem_is_gone_and_gains_move_without_zipper(bench: Bench) -> None:
    bench.run(20)
    bench.gains.set_gain("vocals", -math.inf)
    out = bench.run(60)
    position = bench.mixer.playhead
    wanted = (bench.mixture - bench.stems[0])[:, position - 9_600 : position]
    assert np.abs(out[:, -9_600:] - wanted).max() < 1e-4
    assert largest_step(out) < bench.step() * 1.01
    bench.gains.set_solo("bass", True)
    out = bench.run(60)
    position = bench.mixer.playhead
    assert np.abs(out[:, -9_600:] - bench.stems[2][:, position - 9_600 : position]).max() < 1e-4


def test_a_gap_is_the_aligned_mixture_without_a_step(bench: Bench) -> None:
    bench.gains.preset("karaoke")
    outs = [bench.run(40), bench.run(40, lag=None), bench.run(40)]
    out = np.concatenate(outs, axis=1)
    position = bench.mixer.playhead
    song = bench.mixture[:, position - out.shape[1] + DELAY : position]
    out = out[:, DELAY:]
    gap = slice(40 * BLOCK - DELAY + 3_000, 80 * BLOCK - DELAY)
    assert np.abs(out[:, gap] - song[:, gap]).max() < 1e-6
    assert np.abs(out[:, -4_800:] - (bench.mixture - bench.stems[0])[:, position - 4_800 : position]).max() < 1e-4
    assert largest_step(out) < bench.step() * 1.01
    assert bench.mixer.counts.fallbacks == 1
    # The gap is no longer than the time without results and the fades.
    assert 40 * BLOCK - DELAY < bench.mixer.counts.fallback_samples < 40 * BLOCK + 2 * FADE + BLOCK


def test_a_soloed_stem_is_silent_in_a_gap(bench: Bench) -> None:
    bench.gains.set_solo("drums", True)
    bench.run(60)
    out = bench.run(40, lag=None)
    assert np.abs(out[:, -10 * BLOCK :]).max() == 0
    assert largest_step(out) < bench.step() * 1.01


@pytest.mark.parametrize("lag", [3_500, 3_990, 4_100, 4_300, 4_600])
def test_results_that_come_at_the_last_moment_never_click(bench: Bench, lag: int) -> None:
    bench.gains.preset("karaoke")
    rng = np.random.default_rng(lag)
    out = [bench.run(30)]
    for _ in range(60):
        out.append(bench.run(1, lag=int(lag + rng.integers(-400, 400))))
    assert largest_step(np.concatenate(out, axis=1)) < bench.step() * 1.2  # a fade adds its own slope


def test_a_jump_of_the_results_never_clicks(bench: Bench) -> None:
    bench.gains.preset("karaoke")
    out = [bench.run(40)]
    bench.results.restart(bench.source.end)  # without warning, while the stems are heard
    out += [bench.run(40)]
    assert largest_step(np.concatenate(out, axis=1)) < bench.step() * 1.2


class Hasty(Ring):
    """Its writer is in another process: ``next`` is written right after a look at the end."""

    next: np.ndarray | None = None

    @property
    def end(self) -> int:
        end = super().end
        if self.next is not None:
            block, self.next = self.next, None
            self.write(block)
        return end


def test_a_result_that_comes_while_its_block_is_mixed_never_clicks() -> None:
    results = Hasty.create(8, 1 << 17)
    with benches(results) as bench:
        out = [bench.run(40), bench.run(2, lag=None)]
        end = results.end
        assert bench.mixer.playhead < end < bench.mixer.playhead + BLOCK
        results.next = bench.stems[:, :, end : end + 2 * BLOCK].reshape(8, -1)
        out += [bench.run(1, lag=None), bench.run(20)]
        position = bench.mixer.playhead
        song = np.concatenate(out, axis=1)[:, DELAY:]
        assert np.abs(song - bench.mixture[:, position - song.shape[1] : position]).max() < 1e-5


def test_an_input_that_has_stopped_is_not_heard_again_by_a_resync(bench: Bench) -> None:
    bench.run(40)
    for _ in range(20):
        bench.mixer.pull(BLOCK)
    bench.mixer.resync(DELAY + 1_920)
    assert np.abs(np.concatenate([bench.mixer.pull(BLOCK) for _ in range(10)], axis=1)).max() < 1e-6
    assert not bench.mixer.playing
    bench.run(1)
    assert bench.mixer.playing and bench.mixer.fill == DELAY + 1_920


def test_an_input_that_stops_is_silence_and_comes_back_at_the_same_delay(bench: Bench) -> None:
    out = [bench.run(40)]
    out += [bench.mixer.pull(BLOCK) for _ in range(40)]
    assert np.abs(out[-1]).max() < 1e-6
    assert bench.mixer.counts.underruns == 1
    out += [bench.run(40)]
    assert bench.mixer.fill == DELAY
    position = bench.mixer.playhead
    assert np.abs(out[-1][:, -4_800:] - bench.mixture[:, position - 4_800 : position]).max() < 1e-4
    assert largest_step(np.concatenate(out, axis=1)) < bench.step() * 1.2


def test_a_resync_changes_the_delay_softly(bench: Bench) -> None:
    out = [bench.run(40)]
    bench.mixer.resync(DELAY + 1_920)
    out += [bench.run(40)]
    assert bench.mixer.fill == DELAY + 1_920
    assert largest_step(np.concatenate(out, axis=1)) < bench.step() * 1.2


def test_a_new_input_fades_in_and_nothing_is_heard_of_the_old_one(bench: Bench) -> None:
    bench.run(40)
    bench.mixer.begin(DELAY)
    first, gaps = bench.source.end, bench.mixer.counts.fallback_samples
    out = [bench.mixer.pull(BLOCK) for _ in range(3)]  # it has not begun
    out += [bench.run(40)]
    position = bench.mixer.playhead
    silence = out[-1].shape[1] - (position - first)
    assert np.abs(out[-1][:, :silence]).max() < 1e-6
    assert np.abs(out[-1][:, silence + FADE :] - bench.mixture[:, first + FADE : position]).max() < 1e-4
    assert largest_step(np.concatenate(out, axis=1)) < bench.step() * 1.2
    assert bench.mixer.counts.fallback_samples == gaps and bench.mixer.fill == DELAY


HAPPENS = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 4), st.sampled_from((None, 100, 3_000, 3_900, 4_200))),
    st.tuples(st.just("jump"), st.integers(-4_500, 2_000)),
    st.tuples(st.just("resync"), st.sampled_from((1_920, DELAY, 6_000))),
    st.tuples(st.just("begin"), st.sampled_from((1_920, DELAY, 6_000))),
    st.tuples(st.just("input stops"), st.integers(1, 12)),
    st.tuples(st.just("output stops"), st.integers(1, 8)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(HAPPENS, max_size=18), st.sampled_from(("all", "karaoke")))
def test_whatever_happens_nothing_clicks_and_it_finds_back(happens: list, preset: str) -> None:
    with benches() as bench:
        bench.gains.preset(preset)
        out = [bench.run(20)]
        for what, *values in happens:
            if what == "run":
                out.append(bench.run(*values))
            elif what == "jump":
                bench.results.restart(bench.source.end + values[0])
            elif what == "resync":
                bench.mixer.resync(*values)
            elif what == "begin":  # whatever was heard, the device has stopped in between
                assert largest_step(np.concatenate(out, axis=1)) < bench.step() * 1.4
                bench.mixer.begin(*values)
                out = [np.zeros((2, 2), np.float32)]
            elif what == "input stops":
                out += [bench.mixer.pull(BLOCK) for _ in range(values[0])]
            else:
                end = bench.source.end
                bench.source.write(bench.mixture[:, end : end + values[0] * BLOCK])
        bench.mixer.resync(DELAY)
        out.append(bench.run(30))
        position = bench.mixer.playhead
        wanted = bench.mixture - (bench.stems[0] if preset == "karaoke" else 0)
        assert np.abs(out[-1][:, -4_800:] - wanted[:, position - 4_800 : position]).max() < 1e-4
        assert bench.mixer.fill == DELAY
        assert largest_step(np.concatenate(out, axis=1)) < bench.step() * 1.4


def test_dry_wet_mixes_both(bench: Bench) -> None:
    bench.gains.preset("karaoke")
    bench.gains.set_dry_wet(0.5)
    out = bench.run(80)
    position = bench.mixer.playhead
    wanted = (bench.mixture - 0.5 * bench.stems[0])[:, position - 4_800 : position]
    assert np.abs(out[:, -4_800:] - wanted).max() < 1e-4
    assert len(bench.mixer.levels.stems) == len(STEMS)
    assert bench.mixer.levels.stems[0] == 0
    assert bench.mixer.levels.stems[1] == pytest.approx(0.2, abs=0.01)
