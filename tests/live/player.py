"""A JACK client that plays a song to streamsep and records what streamsep plays: ``python -m tests.live.player``.

    python -m tests.live.player SONG.npy HEARD.npy        # arrays [2, n] float32 at 48 kHz

Both directions run in one callback, so that the record begins with the song's first sample.
"""

from __future__ import annotations

import subprocess
import sys
import threading

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
    listed = subprocess.run(["jack_lsp"], capture_output=True, text=True, check=True).stdout.split()
    clients = [name.partition(":")[0] for name in listed if ":out_0" in name]
    return next(name for name in clients if name.startswith("streamsep")), clients[-1]


def wire(source: str, target: str) -> None:
    """Connect two ports, after taking the source from the system's."""
    for port in ("system:playback_1", "system:playback_2"):
        subprocess.run(["jack_disconnect", source, port], capture_output=True, check=False)
    for port in ("system:capture_1", "system:capture_2"):
        subprocess.run(["jack_disconnect", port, target], capture_output=True, check=False)
    subprocess.run(["jack_connect", source, target], capture_output=True, check=True)


if __name__ == "__main__":
    main()
