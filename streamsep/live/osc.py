"""Remote control over OSC: UDP messages /streamsep/CONTROL VALUE. Knows the wire; what they turn, ``remote`` knows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

from streamsep.errors import OptionError, StreamsepError
from streamsep.live.remote import Remote

if TYPE_CHECKING:
    from pythonosc.dispatcher import Dispatcher
    from pythonosc.osc_message import OscMessage

_ROOT = "/streamsep/"
_BUNDLE = b"#bundle\0"
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
        from pythonosc.osc_server import BlockingOSCUDPServer

        try:
            self._server = BlockingOSCUDPServer((self.host, self.port), _packets_to(self._take))
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

    def _take(self, packet: bytes) -> None:
        """Every message of a packet, at once: a bundle's time is one of the sender's clock, which may be any."""
        try:
            messages = list(_messages(packet))
        except Exception:  # the parser lets pass whatever a damaged packet makes Python say
            self._tell(f"OSC: a packet of {len(packet)} bytes is damaged or no OSC; it changes nothing.")
            return
        for message in messages:
            self._received(message.address, *message.params)

    def _received(self, address: str, *values: Any) -> None:
        try:
            if not address.startswith(_ROOT):
                raise OptionError(f"addresses begin with {_ROOT}, such as {_ROOT}gain/vocals.")
            if len(values) != 1 or not isinstance(values[0], (bool, int, float, str)):
                raise OptionError("a message has one value, a number or a text.")
            self._remote.turn(address.removeprefix(_ROOT), values[0])
        except StreamsepError as error:
            line = f"OSC {address}: {error}"  # whoever sent it must not steer the terminal
            self._tell("".join(each if each.isprintable() else "?" for each in line))


def _messages(packet: bytes) -> Iterator[OscMessage]:
    """Also those of bundles in bundles. pythonosc's own reader goes round and round at a size below zero."""
    from pythonosc.osc_message import OscMessage

    if not packet.startswith(_BUNDLE):
        yield OscMessage(packet)
        return
    at = len(_BUNDLE) + 8  # a time, which does not count
    while at < len(packet):
        start, size = at + 4, int.from_bytes(packet[at : at + 4], "big")
        at = start + size
        if at > len(packet):
            raise ValueError("a bundle holds more than its packet")
        yield from _messages(packet[start:at])


def _packets_to(take: Callable[[bytes], None]) -> Dispatcher:
    """pythonosc's own dispatcher sleeps until a bundle's time, in the one thread that listens."""
    from pythonosc.dispatcher import Dispatcher

    class Packets(Dispatcher):
        def call_handlers_for_packet(self, data: bytes, client_address: tuple[str, int]) -> list[Any]:
            take(data)
            return []  # answers

    return Packets()


def parse_where(text: str) -> tuple[str, int]:
    """``"9000"`` or ``"0.0.0.0:9000"`` → host and port. Raises OptionError."""
    host, colon, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65_535 or (colon and not host):
        raise OptionError(f"--osc '{text}' is no port; write one such as 9000, or 0.0.0.0:9000 to hear other machines.")
    return host or _HOST, int(port)
