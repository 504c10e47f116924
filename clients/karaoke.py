"""Karaoke in a page: the default input on the default output, without its singer. Read it, change it.

python clients/karaoke.py                  # Enter brings the singer back, and takes him away again
python clients/karaoke.py "USB Audio" HDMI
"""

from __future__ import annotations

import sys

from streamsep.errors import StreamsepError
from streamsep.live import LiveSeparator


def main() -> None:
    source, target = (sys.argv[1:] + [None, None])[:2]
    try:
        with LiveSeparator(source, target, preset="karaoke") as live:
            print("Sing! Enter: singer on or off. Ctrl-C: end.")
            for _ in sys.stdin:
                off = live.gains.gain["vocals"] < 0
                live.gains.set_gain("vocals", 0.0 if off else float("-inf"))
                now = live.snapshot()
                print(f"singer {'on' if off else 'off'}, {now.latency:.0f} ms late, {now.fallbacks} gaps so far")
    except KeyboardInterrupt:
        pass
    except StreamsepError as error:
        sys.exit(f"karaoke: {error}")


if __name__ == "__main__":  # the model's process imports this file, too
    main()
