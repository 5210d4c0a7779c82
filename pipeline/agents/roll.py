"""The roll of readers: all of them a few at a time, or a sample that is the same for the same seed.

Readers stand in the store's own order, which is random: a place in it says nothing about who stands there.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from itertools import count

from pipeline.store.ports import FIRST, Stores

_CHUNK = 256
_FEW = 16


async def readers_after(stores: Stores, place: int, limit: int = _CHUNK) -> list[tuple[int, int]]:
    """The next readers after a place as (place, reader), each once; none at the end.

    A reader is who follows or has followed somebody, or has an account.
    """
    listed = await asyncio.gather(
        stores.graph.readers_after(place, limit), stores.readers.readers_after(place, limit)
    )
    return sorted({*listed[0], *listed[1]})[:limit]


async def every_reader(stores: Stores) -> AsyncIterator[int]:
    """All readers."""
    place = FIRST
    while some := await readers_after(stores, place):
        for _, reader in some:
            yield reader
        place = some[-1][0]


async def sample(stores: Stores, number: int, seed: int) -> list[int]:
    """So many readers, drawn by the seed; all of them when there are no more."""
    first = await readers_after(stores, FIRST, number + 1)
    if len(first) <= number:
        return [reader for _, reader in first]
    drawn: set[int] = set()
    for draw in count():
        digest = hashlib.blake2b(f"{seed} {draw}".encode(), digest_size=8).digest()
        near = await readers_after(stores, int.from_bytes(digest, signed=True), _FEW) or first
        drawn.update([reader for _, reader in near if reader not in drawn][:1])
        if len(drawn) == number:
            break
    return sorted(drawn)
