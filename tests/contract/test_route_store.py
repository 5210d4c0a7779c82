"""RouteStore: the newest record of each author, whole."""

import pytest

from pipeline.wire.records import AuthorClass, RouteEntry, RouteRecord

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
    first, second = 911_814_825_628_139_520, 911_814_825_632_333_824  # posts of neighbouring milliseconds
    before = RouteRecord(author, (RouteEntry(first, AuthorClass.PUSH, "followers"),), first)
    after = RouteRecord(author, (RouteEntry(first, AuthorClass.PULL, "followers"),), second)

    for records in ([before], [after], [before, after], [after, before], [before]):
        await stores.routes.put_routes(records)

    assert await stores.routes.routes([author]) == {author: after}
