"""The same client without asyncio: an event loop in a thread of its own. Knows the asyncio client only."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.python.begin import connect
from clients.python.errors import ClientError
from clients.python.inbox import Block
from clients.python.session import Session


class Client:
    """A session for programs that block.

    >>> with Client("ws://localhost:8765/v1", rate=44_100, channels=2, live=False) as client:
    ...     for block in blocks:  # [channels, n] float32
    ...         client.send(block)
    ...     client.finish()
    ...     for block in client:
    ...         block.stems["vocals"]  # [channels, m]

    Stems wait in memory until they are fetched. ``Client`` takes what ``connect`` takes and raises what it raises.
    """

    def __init__(self, url: str, rate: int, channels: int, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self.session: Session = self._wait(connect(url, rate, channels, **options))
        except BaseException:
            self._stop()
            raise
        self._blocks = self.session.__aiter__()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, block: NDArray[np.float32]) -> None:
        """``block`` [channels, n] float32."""
        self._wait(self.session.send(block))

    def set(self, position: int | None = None, **changes: Any) -> None:
        """See ``Session.set``."""
        self._wait(self.session.set(position, **changes))

    def mark(self) -> int:
        """See ``Session.mark``."""
        return self._wait(self.session.mark())

    def finish(self) -> None:
        """End of the song: iterating over the client ends after its last stem."""
        self._wait(self.session.finish())

    def __iter__(self) -> Iterator[Block]:
        while True:
            try:
                block = self._wait(self._blocks.__anext__())
            except StopAsyncIteration:
                self._blocks = self.session.__aiter__()  # for the next song
                return
            except ClientError:
                self._blocks = self.session.__aiter__()  # which says it again: the song did not end
                raise
            yield block

    def close(self) -> None:
        """Say goodbye and end the thread."""
        if self._thread.is_alive():
            self._wait(self.session.close())
            self._stop()

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
