"""RouteStore: the last record of each author, whole."""

import pytest

from pipeline.records import AuthorClass, RouteEntry, RouteRecord

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_author_who_never_posted_has_no_record(stores, fresh):
    assert await stores.routes.routes([fresh()]) == {}


async def test_a_record_comes_back_whole(stores, fresh):
    author = fresh()
    entries = (
        RouteEntry(0, AuthorClass.PUSH, "followers"),
        RouteEntry(2**62, AuthorClass.PULL, 'forced: "quiet" – café'),
    )
    plain = RouteRecord(author + 1, (), 5)

    await stores.routes.put_routes([RouteRecord(author, entries, 2**62 + 1), plain])

    assert await stores.routes.routes([author, author + 1, author + 2]) == {
        author: RouteRecord(author, entries, 2**62 + 1),
        author + 1: plain,
    }


async def test_a_record_replaces_the_one_before(stores, fresh):
    author = fresh()
    before = RouteRecord(author, (RouteEntry(1, AuthorClass.PUSH, "followers"),), 1)
    after = RouteRecord(author, (RouteEntry(1, AuthorClass.PULL, "followers"),), 2)

    for records in ([before], [after], [before, after]):
        await stores.routes.put_routes(records)

    assert await stores.routes.routes([author]) == {author: after}
