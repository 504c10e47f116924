"""Attempts that fail: which are repeated, how long, and how it ends."""

import asyncio
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosedError

from clients.python import ClientError, ServerError, retry
from streamsep.protocol import Error

LOST = ClientError("it was lost.")


class Attempts:
    def __init__(self, *errors: ClientError) -> None:
        self.left, self.count = list(errors), 0

    async def __call__(self) -> None:
        self.count += 1
        if self.left:
            raise self.left.pop(0)


def said(code: str, retry_after: float | None = None) -> ServerError:
    return ServerError(Error(code, "no.", True, retry_after=retry_after))


def losing(patience: float, attempts: Attempts, times: int = 1, position: Callable[[int], int] = lambda _: 0) -> None:
    """So many connections are lost, the n-th after stems up to ``position(n)``."""

    async def lose() -> None:
        mine = retry.Patience(patience)
        for number in range(times):
            await mine.again(attempts, LOST, position(number))

    asyncio.run(asyncio.wait_for(lose(), 10))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BACKOFF", (0.001, 0.002))


def test_what_passes_is_tried_again() -> None:
    attempts = Attempts(ClientError("no server."), said("full", 0.01), said("shutdown"))
    losing(60, attempts)
    assert attempts.count == 4


def test_what_is_final_is_not() -> None:
    attempts = Attempts(said("auth"))
    with pytest.raises(ServerError):
        losing(60, attempts)
    assert attempts.count == 1


@pytest.mark.parametrize("error", [ClientError("no server."), said("full", 5.0)])
def test_patience_ends(error: ClientError) -> None:
    attempts = Attempts(*[error] * 1_000)
    with pytest.raises(ClientError, match="no"):
        losing(0.02, attempts)
    assert attempts.count < 100


def test_so_it_does_with_connections_that_bring_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BACKOFF", (0.1, 5.0))
    attempts = Attempts()
    with pytest.raises(ClientError, match="was lost"):
        losing(0.5, attempts, 1_000)
    assert 1 < attempts.count < 10


def test_after_one_that_brought_stems_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BACKOFF", (100.0, 100.0))
    attempts = Attempts()
    losing(60, attempts, 50, position=lambda number: number + 1)
    assert attempts.count == 50


def test_why_a_connection_ended() -> None:
    closed, ended = ConnectionClosedError(None, None), said("engine")
    assert retry.reason("ws://x/v1", [closed, ended]) is ended
    assert "ws://x/v1 ends every connection" in str(retry.reason("ws://x/v1", [asyncio.CancelledError(), closed]))
    for final in (said("resume"), said("auth"), ValueError("a fault")):
        with pytest.raises(type(final), match=str(final)):
            retry.reason("ws://x/v1", [closed, final])
