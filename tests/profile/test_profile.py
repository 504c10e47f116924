"""``streamsep profile`` on a small model: report, trace, picture, comparison, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamsep.profile.chrome import trace_events
from streamsep.profile.probes import STAGES
from streamsep.profile.run import ProfileOptions, floors, profile, remarks
from streamsep.profile.tracer import Span
from tests.cli.conftest import Run, run  # noqa: F401


@pytest.fixture(scope="module")
def report(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    done = profile(ProfileOptions(frames=60, model=str(model), launches=1, traced=10))
    path = tmp_path_factory.mktemp("reports") / "report.json"
    path.write_text(json.dumps(done.report))
    return path


def test_stages_add_up_to_the_frame(report: Path) -> None:
    found = json.loads(report.read_text())
    assert set(found["stages"]) == set(STAGES)
    assert sum(stage["mean"] for stage in found["stages"].values()) == pytest.approx(found["total"]["mean"], abs=0.01)
    assert sum(stage["share"] for stage in found["stages"].values()) == pytest.approx(1, abs=0.001)
    assert found["parts"]["push"]["calls"] == 1
    assert found["latency_ms"] == 60
    assert found["depth_steps"] == 3 + 4 - 1  # codebooks of the small model and stems, in wavefront order
    assert found["parts"]["depth kernel"]["calls"] == 1


def test_a_fresh_process_tells_its_phases_and_memory(report: Path) -> None:
    start = json.loads(report.read_text())["start"]
    assert start["first_stem_ms"] == pytest.approx(sum(start["phases_ms"].values()), abs=1)
    assert min(start["phases_ms"].values()) >= 0
    assert 50 < start["resident_mb"] <= start["peak_mb"]


def test_a_stage_above_half_of_the_frame_has_a_line_with_its_floor(report: Path) -> None:
    found = json.loads(report.read_text())
    for stage in found["stages"].values():
        stage["share"] = 0.1
    found["stages"]["depth"]["share"], found["stages"]["copy"]["share"] = 0.6, 0.55
    lines = remarks(found)
    assert [line.split()[0] for line in lines] == ["depth", "copy"]
    assert f"{found['floors']['depth']['times']:.1f} times as fast" in lines[0]
    assert "reads no weights" in lines[1]


def test_the_command_writes_trace_and_picture_and_compares(
    run: Run,  # noqa: F811
    model: Path,
    report: Path,
    tmp_path: Path,
) -> None:
    trace, plot = tmp_path / "trace.json", tmp_path / "plot.png"
    line = ("profile", "--frames", 60, "--launches", 1, "--model", model, "--trace", trace, "--plot", plot)
    result = run(*line, "--compare", report, "--json")
    assert result.code == 0
    found = json.loads(result.out)
    assert found["compared"]["rows"]["total"]["p50"]["new"] == found["total"]["p50"]
    assert plot.read_bytes().startswith(b"\x89PNG")
    events = json.loads(trace.read_text())["traceEvents"]
    processes = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert len(processes) == 2
    assert {event["pid"] for event in events if event["ph"] == "X"} == set(processes)
    pushes = [event for event in events if event["name"] == "push"]
    assert len(pushes) == 60
    inner = [event for event in events if event["name"] == "Conformer"]
    assert all(any(p["ts"] <= e["ts"] and e["ts"] + e["dur"] <= p["ts"] + p["dur"] for p in pushes) for e in inner)


@pytest.mark.parametrize("option", ["--trace", "--plot"])
def test_a_file_that_cannot_be_written_does_not_cost_the_report(
    run: Run,  # noqa: F811
    model: Path,
    tmp_path: Path,
    option: str,
) -> None:
    result = run("profile", "--frames", 50, "--launches", 0, "--model", model, "--json", option, tmp_path / "no" / "x")
    assert result.code == 2
    assert "total" in json.loads(result.out) and "cannot be written" in result.err


def test_tables_show_every_stage(run: Run, model: Path) -> None:  # noqa: F811
    result = run("profile", "--frames", 50, "--launches", 0, "--model", model, "--paced")
    assert result.code == 0
    for word in (*STAGES, "heard to stem", "Real-time factor"):
        assert word in result.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--frames", 3), "--frames 3 says nothing"),
        (("--render", "loud"), "unknown render 'loud'"),
        (("--lookahead", 7), "unknown lookahead 7"),
        (("--rate", 100), "--rate 100 is outside"),
        (("--threads", 0), "--threads must be"),
        (("--compare", "missing.json"), "'missing.json' cannot be read"),
        (("--song", "missing.wav"), "missing.wav"),
    ],
)
def test_bad_options_are_one_sentence(run: Run, options: tuple[object, ...], said: str) -> None:  # noqa: F811
    result = run("profile", *options)
    assert result.code == 2
    assert said in result.err
    assert result.err.count("\n") == 1


def test_every_thread_has_a_row_with_a_name() -> None:
    spans = [Span("a", "s", 2_000, 500, 7), Span("b", "s", 1_000, 3_000, 8)]
    events = trace_events({(7, "engine"): spans})["traceEvents"]
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert names == {7: "main thread", 8: "thread 8"}
    assert [(event["name"], event["ts"], event["dur"]) for event in events if event["ph"] == "X"] == [
        ("b", 0.0, 3.0),
        ("a", 1.0, 0.5),
    ]


def test_floors_are_bytes_over_bandwidth(separator: object) -> None:
    from streamsep.profile.floors import read_bandwidth, stage_bytes
    from streamsep.profile.frames import measure_frames
    from tests.sounds import tune

    sizes = stage_bytes(separator.net)  # pyright: ignore[reportAttributeAccessIssue]
    assert set(sizes) == {"features", "condition", "temporal", "depth", "decode"}
    parameters = 4 * sum(p.numel() for p in separator.net.parameters())  # pyright: ignore[reportAttributeAccessIssue]
    assert parameters / 3 < sum(sizes.values()) < parameters
    assert read_bandwidth(1 << 20, 1) > 1e8
    frames = measure_frames(separator.stream(48_000, 2), tune(0.2, 48_000, 2), 50)  # pyright: ignore[reportAttributeAccessIssue]
    found = floors(frames, {"depth": 2_000_000}, 1e9)
    assert found["depth"]["floor_ms"] == 2
