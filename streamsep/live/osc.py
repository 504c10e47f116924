"""Remote control over OSC: UDP messages /streamsep/CONTROL VALUE. Knows the wire; what they turn, ``remote`` knows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

from streamsep.errors import OptionError, StreamsepError
from streamsep.live.remote import Remote

_ROOT = "/streamsep/"
_HOST = "127.0.0.1"


class OscInput:
    """Listens while the context lasts. ``where``: a port of this machine, or HOST:PORT to hear others.

    What cannot be understood is told, a line each time, and changes nothing. Raises OptionError when the port is no
    port, or taken.
    """

    def __init__(self, where: str | int, remote: Remote, tell: Callable[[str], None]) -> None:
        self._remote, self._tell = remote, tell
        self.host, self.port = parse_where(str(where))

    def __enter__(self) -> Self:
        from pythonosc.dispatcher import Dispatcher
        from pythonosc.osc_server import BlockingOSCUDPServer

        dispatcher = Dispatcher()
        dispatcher.set_default_handler(self._received)
        try:
            self._server = BlockingOSCUDPServer((self.host, self.port), dispatcher)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OptionError(
                f"--osc {self.host}:{self.port} cannot listen ({reason}); choose another port."
            ) from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="streamsep-osc", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _received(self, address: str, *values: Any) -> None:
        try:
            if not address.startswith(_ROOT):
                raise OptionError(f"addresses begin with {_ROOT}, such as {_ROOT}gain/vocals.")
            if len(values) != 1 or not isinstance(values[0], (bool, int, float, str)):
                raise OptionError("a message has one value, a number or a text.")
            self._remote.turn(address.removeprefix(_ROOT), values[0])
        except StreamsepError as error:
            self._tell(f"OSC {address}: {error}")


def parse_where(text: str) -> tuple[str, int]:
    """``"9000"`` or ``"0.0.0.0:9000"`` → host and port. Raises OptionError."""
    host, colon, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65_535 or (colon and not host):
        raise OptionError(f"--osc '{text}' is no port; write one such as 9000, or 0.0.0.0:9000 to hear other machines.")
    return host or _HOST, int(port)
