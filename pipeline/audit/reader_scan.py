"""The scan of readers: all of them a few at a time, or a sample that is the same for the same seed.

Readers stand in the store's own order, which is random: a place in it says nothing about who stands there.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from itertools import count
from math import ceil

from pipeline.store.ports import Stores
from pipeline.store.values import FIRST

STRETCHES = 16
"""A sample is so many stretches of the scan: a seek each, however many readers there are."""

_CHUNK = 256


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
    drawn: dict[int, None] = {}
    for place in _places(seed):
        near = await readers_after(stores, place, ceil(number / STRETCHES)) or first
        drawn.update(dict.fromkeys(reader for _, reader in near))
        if len(drawn) >= number:
            break
    return list(drawn)[:number]


def _places(seed: int) -> Iterator[int]:
    """Places drawn by the seed, without an end."""
    for draw in count():
        digest = hashlib.blake2b(f"{seed} {draw}".encode(), digest_size=8).digest()
        yield int.from_bytes(digest, signed=True)
