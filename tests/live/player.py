"""A JACK client that plays a song to streamsep and records what streamsep plays: ``python -m tests.live.player``.

    python -m tests.live.player SONG.npy HEARD.npy        # arrays [2, n] float32 at 48 kHz

Both directions run in one callback, so that the record begins with the song's first sample.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping

import numpy as np
import sounddevice

_AFTER = 2.0  # seconds recorded after the song


def main() -> None:
    song = np.load(sys.argv[1])
    rate = 48_000
    song = np.pad(song, ((0, 0), (0, round(_AFTER * rate))))
    heard = np.zeros_like(song)
    at, lost, done = 0, 0, threading.Event()
    connected = threading.Event()

    def callback(record: np.ndarray, out: np.ndarray, count: int, times: object, status: object) -> None:
        nonlocal at, lost
        lost += bool(status)
        out[:] = 0
        if not connected.is_set():
            return
        part = min(count, song.shape[1] - at)
        out[:part] = song[:, at : at + part].T
        heard[:, at : at + part] = record[:part].T
        at += part
        if at == song.shape[1]:
            done.set()

    device = next(
        index
        for index, found in enumerate(sounddevice.query_devices())
        if found["name"] == "system" and found["max_output_channels"]
    )
    with sounddevice.Stream(rate, 0, device, 2, "float32", callback=callback):
        others, mine = ports()
        for channel in (0, 1):
            wire(f"{mine}:out_{channel}", f"{others}:in_{channel}")
            wire(f"{others}:out_{channel}", f"{mine}:in_{channel}")
        connected.set()
        if not done.wait(60 + song.shape[1] / rate):
            sys.exit("the song did not end")
    if lost:
        print(f"{lost} xruns of the player", file=sys.stderr)
    np.save(sys.argv[2], heard)


def ports() -> tuple[str, str]:
    """Names of streamsep's client and of this one, which came last."""
    clients = players(subprocess.run(["jack_lsp"], capture_output=True, text=True, check=True).stdout)
    return next(name for name in clients if name.startswith("streamsep")), clients[-1]


def players(listed: str) -> list[str]:
    """Names of the clients that play, in the order in which they came; ``listed`` by jack_lsp."""
    return [name.partition(":")[0] for name in listed.split() if ":out_0" in name]


def wire(source: str, target: str, env: Mapping[str, str] | None = None) -> None:
    """Connect two ports, after taking them from the system's."""

    def call(*command: str, check: bool = False) -> None:
        subprocess.run(command, env=env, capture_output=True, check=check)

    for number in range(1, 5):
        call("jack_disconnect", source, f"system:playback_{number}")
        call("jack_disconnect", f"system:capture_{number}", target)
    call("jack_connect", source, target, check=True)


if __name__ == "__main__":
    main()
