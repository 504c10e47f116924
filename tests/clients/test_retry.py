"""Attempts that fail: which are repeated, how long, and how it ends."""

import asyncio

import pytest

from clients.python import ClientError, ServerError, retry
from streamsep.protocol import Error


class Attempts:
    def __init__(self, *errors: ClientError) -> None:
        self.left, self.count = list(errors), 0

    async def __call__(self) -> None:
        self.count += 1
        if self.left:
            raise self.left.pop(0)


def said(code: str, retry_after: float | None = None) -> ServerError:
    return ServerError(Error(code, "no.", True, retry_after=retry_after))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BACKOFF", (0.001, 0.002))


def test_what_passes_is_tried_again() -> None:
    attempts = Attempts(ClientError("no server."), said("full", 0.01), said("shutdown"))
    asyncio.run(retry.patiently(attempts, patience=60))
    assert attempts.count == 4


def test_what_is_final_is_not() -> None:
    attempts = Attempts(said("auth"))
    with pytest.raises(ServerError):
        asyncio.run(retry.patiently(attempts, patience=60))
    assert attempts.count == 1


@pytest.mark.parametrize("error", [ClientError("no server."), said("full", 5.0)])
def test_patience_ends(error: ClientError) -> None:
    attempts = Attempts(*[error] * 1_000)
    with pytest.raises(ClientError, match="no"):
        asyncio.run(retry.patiently(attempts, patience=0.02))
    assert attempts.count < 100
