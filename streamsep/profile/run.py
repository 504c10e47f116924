"""``streamsep profile``'s work: load, launch, stream, sum up. Speaks only through what it is given."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import streamsep
from streamsep.audio.blocks import to_stereo
from streamsep.audio.files import MAX_RATE, MIN_RATE, open_audio
from streamsep.audio.resample import resample
from streamsep.choices import CODEC, MASK, RENDERS, check_choice, check_lookahead
from streamsep.config import FRAME, SAMPLE_RATE, STEMS
from streamsep.data.compose import compose_song
from streamsep.doctor.environment import environment
from streamsep.errors import OptionError
from streamsep.evaluate.timing import FRAME_MS
from streamsep.lm.order import schedule
from streamsep.model.net import Net
from streamsep.profile.floors import read_bandwidth, stage_bytes
from streamsep.profile.frames import Frames, Sound, measure_frames
from streamsep.profile.launch import Launch, launch_summary, launches
from streamsep.profile.probes import STAGES
from streamsep.profile.summary import summary
from streamsep.profile.tracer import Span

MIN_FRAMES = 50
_SONG_SECONDS = 12.0
_SEED = 0
_LONG_SHARE = 0.5  # of a frame's computing: a stage above it gets a line


@dataclass(frozen=True)
class ProfileOptions:
    """Checked options. ``traced``: how many of the last frames keep every call."""

    frames: int = 5_000
    model: str = "tiny"
    device: str = "cpu"
    render: str = MASK
    lookahead: int = 0
    rate: int = SAMPLE_RATE
    threads: int = 1
    paced: bool = False
    launches: int = 3
    song: Path | None = None
    traced: int = 0

    def __post_init__(self) -> None:
        """Raise OptionError for the first value that makes no sense."""
        if self.frames < MIN_FRAMES:
            raise OptionError(f"--frames {self.frames} says nothing; give {MIN_FRAMES} or more.")
        check_choice("render", self.render, RENDERS)
        check_lookahead(self.lookahead)
        if not MIN_RATE <= self.rate <= MAX_RATE:
            raise OptionError(f"--rate {self.rate} is outside {MIN_RATE} to {MAX_RATE}.")
        if self.threads < 1 or self.launches < 0:
            raise OptionError("--threads must be 1 or more, --launches 0 or more.")


@dataclass(frozen=True)
class Profile:
    """The report, JSON-ready, and what pictures and traces need beyond it."""

    report: dict[str, Any]
    frames: Frames
    rows: dict[tuple[int, str], list[Span]]


def profile(
    options: ProfileOptions,
    tell: Callable[[str], None] = lambda _: None,
    step: Callable[[int], None] = lambda _: None,
) -> Profile:
    """Measure. ``tell`` gets a line before every part, ``step`` the number of frames done.

    Raises StreamsepError when model, device or song cannot be had.
    """
    song, rate = _song(options)
    separator = streamsep.load(options.model, options.device, render=options.render, threads=options.threads)
    started: list[Launch] = []
    if options.launches:
        tell(f"starting {options.launches + 1} fresh processes …")
        started = launches(options.launches, options.model, options.device, options.lookahead, options.render)
    stream = separator.stream(rate, song.shape[0], options.lookahead)
    tell(f"pushing {options.frames} frames {'in real time' if options.paced else 'as fast as it goes'} …")
    frames = measure_frames(stream, song, options.frames, options.paced, min(options.traced, options.frames), step)
    sizes = stage_bytes(separator.net)
    report = {
        **{name: value for name, value in asdict(options).items() if name not in ("song", "traced")},
        "song": None if options.song is None else str(options.song),
        "rate": rate,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "latency_ms": round(1_000 * stream.latency / rate, 3),
        "depth_steps": _depth_steps(separator.net, options.render),
        **frame_report(frames),
        "floors": floors(frames, sizes, read_bandwidth(sum(sizes.values()), options.threads)),
        "start": launch_summary(started) if started else None,
    }
    report["remarks"] = remarks(report)
    rows: dict[tuple[int, str], list[Span]] = {
        (one.process, f"launch {number}"): one.spans for number, one in enumerate(started, 1)
    }
    rows[os.getpid(), f"{options.model}, the last {options.traced} frames"] = frames.spans
    return Profile(report, frames, rows)


def frame_report(frames: Frames) -> dict[str, Any]:
    """Frames and stages summed up."""
    total = frames.total
    stages = {
        stage: {
            **summary(frames.stages[:, index]),
            "share": round(float(frames.stages[:, index].sum() / total.sum()), 4),
        }
        for index, stage in enumerate(STAGES)
    }
    return {
        "total": summary(total),
        "late_frames": int(np.count_nonzero(total > FRAME_MS)),
        "real_time_factor": round(float(total.mean()) / FRAME_MS, 4),
        "heard_to_stem": summary(frames.late) if len(frames.late) else None,
        "stages": stages,
        "parts": {name: {"calls": round(c, 2), "ms": round(ms, 4)} for name, (c, ms) in frames.parts.items()},
    }


def floors(frames: Frames, sizes: dict[str, int], bandwidth: float) -> dict[str, Any]:
    """Stage → bytes of its weights, the time to read them, and how many times as long its median takes."""
    found: dict[str, Any] = {"bandwidth_gb_s": round(bandwidth / 1e9, 2)}
    for stage, size in sizes.items():
        floor = 1_000 * size / bandwidth
        took = float(np.median(frames.stages[:, STAGES.index(stage)]))
        found[stage] = {"bytes": size, "floor_ms": round(floor, 4), "times": round(took / floor, 2)}
    return found


def remarks(report: dict[str, Any]) -> list[str]:
    """A line for every stage that takes more than half of a frame's computing or of its 40 ms."""
    lines: list[str] = []
    for stage, found in report["stages"].items():
        if found["share"] <= _LONG_SHARE and found["p50"] <= _LONG_SHARE * FRAME_MS:
            continue
        floor = report["floors"].get(stage)
        text = f"{stage} takes {100 * found['share']:.0f} % of a frame's computing, {found['p50']:.2f} ms; "
        if floor is None:
            lines.append(text + "it reads no weights: its floor is nothing but its own arithmetic.")
            continue
        lines.append(
            text
            + f"its floor is {floor['floor_ms']:.2f} ms ({floor['bytes'] / 1e6:.1f} MB of weights at "
            + f"{report['floors']['bandwidth_gb_s']:.1f} GB/s), {floor['times']:.1f} times as fast."
        )
    return lines


def _song(options: ProfileOptions) -> tuple[Sound, int]:
    """What is streamed, and its rate: a file's own, or composed music at the rate asked for."""
    if options.song is None:
        song = compose_song(_SEED, _SONG_SECONDS, None, "test").mixture
        return resample(song, SAMPLE_RATE, options.rate), options.rate
    with open_audio(options.song) as reader:
        song, rate = reader.read(round(60 * reader.rate)), reader.rate
    if song.shape[1] * SAMPLE_RATE < FRAME * rate:
        raise OptionError(f"'{options.song}' is shorter than one frame of 40 ms; give a longer song.")
    return to_stereo(song[:2]), rate


def _depth_steps(net: Net, render: str) -> int:
    """How often a frame's codes wait for one another."""
    codec = net.config.codec
    codebooks = codec.codebooks if render == CODEC else codec.semantic_codebooks
    return len(schedule(net.config.lm.order, len(STEMS), codec.semantic_codebooks, codebooks))


def _machine() -> dict[str, Any]:
    found = environment()
    return {
        "processor": found["cpu"]["name"],
        "usable_cores": found["cpu"]["usable_cores"],
        "torch": found["packages"]["torch"],
        "torch_uses": found["cpu"]["torch_uses"],
        "cuda": [device["name"] for device in found["cuda"]["devices"]] if torch.cuda.is_available() else [],
    }
