"""What goes wrong in `bench reads`, put between the core of the read path and its store."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pipeline.domain.merge import Row
from pipeline.query.timeline import Query
from pipeline.store.ports import GraphStore, PostStore, ReaderStore, Stores

DELAY_S = 2.0
"""How long the slow partition takes: ten deadlines."""


class SlowAuthor:
    """A `PostStore` in which the partition of one author answers late."""

    def __init__(self, posts: PostStore, author: int) -> None:
        self._posts, self._author = posts, author

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self._posts, name)

    async def recent(self, author_id: int, lo: int, hi: int, limit: int) -> list[Row]:
        """See `PostStore`."""
        if author_id == self._author:
            await asyncio.sleep(DELAY_S)
        return await self._posts.recent(author_id, lo, hi, limit)


@dataclass(slots=True)
class Reads:
    """How often each key was read from the store, by what was asked of it."""

    of: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def most(self) -> int:
        """Of any key."""
        return max(self.of.values(), default=0)


class Counted:
    """A port whose reads are counted by key: the first argument, an id or several."""

    def __init__(self, port: object, reads: Reads) -> None:
        self._port, self._reads = port, reads

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """The method, counted."""
        method: Callable[..., Awaitable[Any]] = getattr(self._port, name)

        def counted(key: int | Collection[int], *rest: Any, **more: Any) -> Awaitable[Any]:
            keys: Sequence[int] = [key] if isinstance(key, int) else [*key]
            self._reads.of.update((name, each) for each in keys)
            return method(key, *rest, **more)

        return counted


def with_stores(core: Query, stores: Stores) -> Query:
    """The same core, with the same caches, on other stores."""
    return replace(core, load=replace(core.load, stores=stores))


def slowed(core: Query, author: int) -> Query:
    """The core, while one author's partition is slow."""
    stores = core.load.stores
    slow = cast(PostStore, SlowAuthor(stores.posts, author))
    return with_stores(core, replace(stores, posts=slow))


def counted(core: Query, reads: Reads) -> Query:
    """The core, with every read of what its caches hold counted."""
    stores = core.load.stores
    ports = replace(
        stores,
        graph=cast(GraphStore, Counted(stores.graph, reads)),
        posts=cast(PostStore, Counted(stores.posts, reads)),
        readers=cast(ReaderStore, Counted(stores.readers, reads)),
    )
    return with_stores(core, ports)
