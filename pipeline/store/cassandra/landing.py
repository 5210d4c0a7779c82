"""From the driver's thread to the event loop: results cross with one wake-up for all that came meanwhile."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any


class Landing:
    """Resolves futures of one event loop from any thread; a future that was cancelled meanwhile is left."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._landed: deque[tuple[asyncio.Future[Any], Any, Exception | None]] = deque()
        self._woken = False

    def result(self, value: Any, future: asyncio.Future[Any]) -> None:
        """The statement of this future has succeeded."""
        self._land(future, value, None)

    def failure(self, error: Exception, future: asyncio.Future[Any]) -> None:
        """The statement of this future has failed."""
        self._land(future, None, error)

    def _land(self, future: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
        # Append first, look second; `_drain` clears first, takes second: nothing is left lying.
        self._landed.append((future, value, error))
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed, nobody waits any more
                self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._woken = False
        while self._landed:
            future, value, error = self._landed.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
