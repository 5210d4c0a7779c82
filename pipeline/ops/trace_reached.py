"""How far a post has reached: of the author's followers, who has its row and who pulls it."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.domain.coverage import EdgeCover, bound, pull_ranges
from pipeline.domain.routing import Entries
from pipeline.store.ports import Stores
from pipeline.store.values import AuthorGraph

MAX_READERS = 1_000
"""Readers that are asked about: the share of a larger audience is known to 3 %."""

_SEGMENTS = 20
"""Segments that a sample is drawn from, evenly over all: written in turn, they tell how far the tasks are."""

_CONCURRENCY = 64


@dataclass(frozen=True, slots=True)
class Reached:
    """Of `asked` followers of `followers`, those with a row, and those who pull what they have no row of.

    Who has neither is waiting, or lacks the post.
    """

    followers: int
    asked: int
    rows: int
    pull: int

    @property
    def neither(self) -> int:
        """Those who cannot see the post yet."""
        return self.asked - self.rows - self.pull

    @property
    def exact(self) -> bool:
        """Whether everybody was asked about."""
        return self.asked >= self.followers


async def reached(
    stores: Stores, graph: AuthorGraph, post_id: int, entries: Entries, floor: int, margin_ms: int
) -> Reached:
    """Ask about all followers, or about MAX_READERS of them.

    `entries`: the author's classes; `floor`: below this bound rows of the author may be gone.
    """
    readers = await _sample(stores, graph)
    states = await stores.readers.readers(readers)
    edges = await stores.graph.edges(graph.author_id, readers)

    def pulls(reader: int) -> bool:
        edge = edges.get(reader)
        if edge is None:  # they have left since
            return True
        cover = EdgeCover(bound(edge.bound, states[reader].bound, floor), edge.warm_since)
        return any(lo <= post_id < hi for lo, hi in pull_ranges(entries, cover, 0, margin_ms=margin_ms))

    rows: set[int] = set()
    for some in (readers[at : at + _CONCURRENCY] for at in range(0, len(readers), _CONCURRENCY)):
        found = await asyncio.gather(
            *(stores.timelines.timeline(reader, post_id, post_id + 1, 1) for reader in some)
        )
        rows |= {reader for reader, row in zip(some, found, strict=True) if row}
    pull = sum(pulls(reader) for reader in readers if reader not in rows)
    return Reached(max(graph.followers, len(readers)), len(readers), len(rows), pull)


async def _sample(stores: Stores, graph: AuthorGraph) -> list[int]:
    every = graph.followers <= MAX_READERS
    segments = range(graph.segments) if every else sorted(set(_spread(range(graph.segments), _SEGMENTS)))
    most = MAX_READERS if every else math.ceil(MAX_READERS / len(segments))
    found = await asyncio.gather(*(stores.graph.followers(graph.author_id, one) for one in segments))
    return [reader for followers in found for reader in _spread(followers.ids, most)]


def _spread(items: Sequence[int], most: int) -> Iterator[int]:
    """At most so many of the items, evenly over all."""
    count = min(most, len(items))
    return (items[len(items) * at // count] for at in range(count))
