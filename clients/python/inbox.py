"""What came from the server, for those who wait for it: blocks in their order, answers by name. Knows no connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.python.errors import ClientError


@dataclass(frozen=True)
class Block:
    """``count`` samples from ``position`` on: output → [channels, count]. ``missing`` samples before it are gone."""

    position: int
    count: int
    stems: Mapping[str, NDArray[np.float32]]
    missing: int = 0


class Inbox:
    """Attributes: error: why nothing more will come."""

    def __init__(self) -> None:
        self.error: ClientError | None = None
        self._blocks: asyncio.Queue[Block | ClientError | None] = asyncio.Queue()
        self._answers: dict[str, asyncio.Future[Any]] = {}

    def check(self) -> None:
        """Raises ClientError when it is over."""
        if self.error is not None:
            raise self.error

    async def blocks(self) -> AsyncIterator[Block]:
        """Until the end of the song; raises ClientError at the end of all."""
        if self._blocks.empty():
            self.check()
        while (block := await self._blocks.get()) is not None:
            if isinstance(block, ClientError):
                raise block
            yield block

    def put(self, block: Block | ClientError | None) -> None:
        """None is the end of the song."""
        self._blocks.put_nowait(block)

    def answer(self, name: str) -> asyncio.Future[Any]:
        """What ``resolve`` will say; one for all who ask by the same name."""
        return self._answers.setdefault(name, asyncio.get_running_loop().create_future())

    def awaits(self, name: str) -> bool:
        return name in self._answers

    def resolve(self, name: str, value: Any) -> None:
        future = self._answers.pop(name, None)
        if future is not None and not future.done():
            future.set_result(value)

    def end(self, error: ClientError) -> None:
        """Whoever waits for an answer is told why, and so is whoever asks later."""
        self.error = self.error or error
        for future in self._answers.values():
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever still waits gets it; nobody need wait
