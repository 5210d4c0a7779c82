"""Looks: one post for one reader, and how a reader stands to an author; by the same moderation as pages."""

from dataclasses import dataclass

from pipeline.domain.visibility import withheld_because
from pipeline.query.deadline import Deadline
from pipeline.query.load import Load
from pipeline.store.values import StoredPost


@dataclass(frozen=True, slots=True)
class Following:
    """How a reader stands to an author. `since`: when they followed (ms); `blocked`: by the reader.

    Whether the author has blocked the reader is not the reader's to know.
    """

    reader_id: int
    author_id: int
    follows: bool
    since: int | None
    muted: bool
    blocked: bool


async def post(load: Load, reader_id: int, post_id: int) -> StoredPost | None:
    """One post, as this reader may see it; None when there is none for them, whatever the reason."""
    stores, forever = load.stores, Deadline(None)
    if await load.erased(reader_id, forever):
        return None
    posts = await load.caches.posts.all((post_id,), lambda ids: stores.posts.posts(list(ids)))
    found = posts.get(post_id)
    if found is None:
        return None
    author = found.author_id
    reader = await load.reader(reader_id, forever)
    routes = await load.routes.among((author,))
    relations = await stores.readers.relations(reader_id, [author])
    withheld = withheld_because(
        own=author == reader_id,
        reader_region=reader.state.region,
        visibility=found.visibility,
        protected=(await stores.readers.reader(author)).protected,
        deleted=found.deleted,
        taken_down=found.taken_down,
        suspended=author in routes and routes[author].suspended,
        blocked=relations.blocked(author),
        followed=author in reader.follows,
    )
    return found if withheld is None else None


async def following(load: Load, reader_id: int, author_id: int) -> Following:
    """How the reader stands to the author; to one nobody has heard of, not at all."""
    stores = load.stores
    if await load.erased(reader_id, Deadline(None)):
        return Following(reader_id, author_id, False, None, False, False)
    relations = await stores.readers.relations(reader_id, [author_id])
    edge = (await stores.graph.edges(author_id, [reader_id])).get(reader_id)
    since = edge.at if edge is not None and edge.follows else None
    muted, blocked = author_id in relations.mutes, author_id in relations.blocks
    return Following(reader_id, author_id, since is not None, since, muted, blocked)
