"""What a stage has in hand: batches go on beside each other, but never two about the same author or reader.

In what order two batches about one come does not matter (`docs/ordering.md`), that they do not mix does.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager


class InHand:
    """The keys of the batches that are being worked on."""

    def __init__(self) -> None:
        self._until: dict[int, asyncio.Event] = {}

    @asynccontextmanager
    async def alone(self, keys: Collection[int]) -> AsyncIterator[None]:
        """Wait until nobody works on any of these; nobody else does meanwhile."""
        while held := self._until.keys() & keys:
            await self._until[held.pop()].wait()
        done = asyncio.Event()
        self._until |= dict.fromkeys(keys, done)
        try:
            yield
        finally:
            for key in keys:
                del self._until[key]
            done.set()
