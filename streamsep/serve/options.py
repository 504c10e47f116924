"""What the user of ``streamsep serve`` asks for, checked before anything heavy is loaded."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from streamsep.choices import DECODES, DEVICES, check_choice
from streamsep.errors import OptionError
from streamsep.protocol.messages import MAX_AUDIO, MAX_TOKEN

# Beside the package both in a clone and where pip puts it.
PAGES = Path(__file__).resolve().parents[2] / "clients" / "browser"


@dataclass(frozen=True)
class ServeOptions:
    """Checked options. ``max_sessions`` 0: as many as the measured frame time allows. Times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8765
    model: str = "tiny"
    device: str = "cpu"
    decode: str = "fused"
    threads: int | None = None
    max_sessions: int = 0
    exact: bool = False
    fallback: bool = True
    token: str | None = None
    certfile: Path | None = None
    keyfile: Path | None = None
    origins: tuple[str, ...] = ()
    pages: Path = PAGES
    hello_timeout: float = 5.0
    idle_timeout: float = 60.0
    resume_time: float = 30.0
    drain_time: float = 10.0
    max_message: int = MAX_AUDIO + 4_096  # bytes from a client
    max_rate: float = 500.0  # messages a second from a client; more are read more slowly
    acks: bool = False  # whether stems wait for acks: what carries them takes everything, however slow the client
    max_connections: int = 0  # those that have not said hello included; 0: four times the sessions and 64

    def __post_init__(self) -> None:
        """Raise OptionError for the first value that makes no sense."""
        if not 0 <= self.port <= 65_535:
            raise OptionError(f"there is no port {self.port}; give 1 to 65535, or 0 for any that is free.")
        if self.max_sessions < 0:
            raise OptionError(f"--max-sessions {self.max_sessions} is below 1; leave it out to have it measured.")
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"--threads {self.threads} leaves nobody to work; give 1 or more.")
        check_choice("device", self.device, DEVICES)
        check_choice("decode", self.decode, DECODES)
        for name in ("idle_timeout", "resume_time", "drain_time"):
            if not 0 <= (value := getattr(self, name)) < float("inf"):
                raise OptionError(f"--{name.replace('_', '-')} {value} is no number of seconds; give 0 or more.")
        if not self.idle_timeout:
            raise OptionError("--idle-timeout 0 leaves nobody time to speak; give more than 0 seconds.")
        if self.token is not None and not self.token.strip():
            raise OptionError("the token is empty; give one that cannot be guessed, or leave it out.")
        if len(self.token or "") > MAX_TOKEN:
            raise OptionError(f"no client can give a token of more than {MAX_TOKEN} characters; give a shorter one.")
        for origin in self.origins:
            if origin not in ("*", "null") and not _is_origin(origin):
                raise OptionError(f"--origin {origin} is none that browsers name; give scheme://host[:port], or *.")
        if (self.certfile is None) != (self.keyfile is None):
            raise OptionError("TLS needs both --certfile and --keyfile.")

    def page(self, port: int) -> str:
        """Where a browser finds the client when the server listens on ``port``."""
        scheme = "http" if self.certfile is None else "https"
        host = {"0.0.0.0": "localhost", "::": "localhost", "": "localhost"}.get(self.host, self.host)
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"

    def tls(self) -> ssl.SSLContext | None:
        """The context for TLS. Raises OptionError when certificate or key cannot be used."""
        if self.certfile is None or self.keyfile is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certfile, self.keyfile)
        except (OSError, ssl.SSLError) as error:
            raise OptionError(f"'{self.certfile}' and '{self.keyfile}' are no certificate and key: {error}.") from error
        return context


def _is_origin(text: str) -> bool:
    """Whether browsers can name it: a scheme and a host, nothing after them, not even a slash."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.netloc) and text == f"{parts.scheme}://{parts.netloc}"
