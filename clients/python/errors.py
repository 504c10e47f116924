"""What can go wrong, in one sentence each."""

from __future__ import annotations

from streamsep.protocol import Error


class ClientError(Exception):
    """The server cannot be reached, or is none."""


class ServerError(ClientError):
    """The server said no. ``code`` as in the protocol; ``retry_after`` in seconds, if it makes sense to try again."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.sentence)
        self.code, self.retry_after = error.code, error.retry_after
