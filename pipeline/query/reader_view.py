"""What pages need to know of their reader: edges, relations, the cohort, and what they will not see."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.domain.coverage import EdgeCover
from pipeline.store.ports import Stores
from pipeline.store.values import ReaderState, Relations

HIDES = 1_000
"""Newest hides that are known without asking; of older posts it is asked for those at hand."""


@dataclass(frozen=True, slots=True)
class ReaderView:
    """A reader as the tables had them. `follows`: all whom they follow; `relations`: to those; `followees`:
    of them those whose posts may be shown; `covers`: of the followees who are not simply pushed to this
    reader; `hidden`: posts the reader does not want to see, with their authors, all with ids from
    `hidden_since` on. Thousands of these are kept, so an edge is no more than its author, and of hides the
    newest are enough.
    """

    state: ReaderState
    relations: Relations
    follows: frozenset[int]
    followees: frozenset[int]
    covers: Mapping[int, EdgeCover]
    hidden: Mapping[int, int]
    hidden_since: int = 0
    remembered: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)
    """What was made of this view, by what else it was made of (`fetch`)."""


async def views(stores: Stores, reader_ids: Collection[int], since: int) -> dict[int, ReaderView]:
    """These readers as they are now. `since`: from which post on it is known what they have hidden."""
    found = await asyncio.gather(*(_view(stores, one, since) for one in reader_ids))
    return dict(zip(reader_ids, found, strict=True))


async def _view(stores: Stores, reader_id: int, since: int) -> ReaderView:
    following, state, hidden = await asyncio.gather(
        stores.graph.following(reader_id),
        stores.readers.reader(reader_id),
        stores.readers.hidden(reader_id, since, HIDES),
    )
    follows = frozenset(edge.author_id for edge in following)
    relations = await stores.readers.relations(reader_id, follows)  # others may block them by the million
    followees = frozenset(author for author in follows if not relations.hide(author))
    covers = {
        edge.author_id: EdgeCover(edge.bound, edge.warm_since)
        for edge in following
        if edge.author_id in followees and (edge.bound or edge.warm_since is not None)
    }
    return ReaderView(state, relations, follows, followees, covers, hidden.posts, hidden.since)
