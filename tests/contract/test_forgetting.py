"""Every store: what is forgotten is gone, stays gone whatever is written late, and is all that is gone."""

import pytest

from pipeline.domain.engagement import hour_of
from pipeline.domain.order import Version
from pipeline.domain.snowflake import MAX_ID, first_id
from pipeline.store.values import (
    FIRST,
    NOT_COVERED,
    AuthorGraph,
    CounterWindow,
    Edge,
    Engaged,
    Hide,
    Placed,
    Push,
    ReaderState,
    Relations,
    SegmentChange,
    TimelineEntry,
)
from pipeline.wire.records import AccountEvent, PostEvent, RouteRecord, Suspension

T0 = 1_700_000_000_000
LATE = 3_000_000_000_000
"""A time further ahead than any event has."""

AT, LATER = Version(T0, 0), Version(LATE, 0)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_readers_edge_to_the_account_is_gone_and_the_others_stay(stores, fresh):
    reader, author = fresh(), fresh()
    await stores.graph.put_edges([Edge(reader, author, True, T0, 0), Edge(reader, author + 1, True, T0, 0)])

    assert await stores.graph.forget_edges(author, [reader, reader + 1]) == {reader}
    await stores.graph.put_edges([Edge(reader, author, True, LATE, 0)])

    assert [edge.author_id for edge in await stores.graph.following(reader)] == [author + 1]
    assert await stores.graph.edges(author, [reader]) == {}
    assert await stores.graph.forget_edges(author, [reader]) == set()


async def test_an_edge_that_had_ended_is_gone_as_well(stores, fresh):
    reader, author = fresh(), fresh()
    await stores.graph.put_edges([Edge(reader, author, False, T0, 0)])

    assert await stores.graph.forget_edges(author, [reader]) == {reader}
    assert await stores.graph.ever_followed([reader]) == set()


async def test_a_segment_is_gone_with_its_count(stores, fresh):
    author = fresh()
    for segment in (0, 1):
        await stores.graph.change_segment(SegmentChange(author, segment, None, add=(1, 2)))

    await stores.graph.forget_segment(author, 0)

    assert (await stores.graph.followers(author, 0)).ids == ()
    assert (await stores.graph.followers(author, 1)).ids == (1, 2)
    assert await stores.graph.segment_lives(author, 2) == [None, 2]


async def test_the_account_follows_nobody_and_is_no_author(stores, fresh):
    account, other = fresh(), fresh()
    await stores.graph.put_edges([Edge(account, other, True, T0, 0), Edge(account, other + 1, True, T0, 0)])
    await stores.graph.put_author_graphs([AuthorGraph(account, 5, 1), AuthorGraph(other, 6, 1)])

    await stores.graph.forget_graph(account)
    await stores.graph.put_edges([Edge(account, other, True, LATE, 0)])

    assert await stores.graph.following(account) == []
    assert await stores.graph.author_graphs([account, other]) == {
        account: AuthorGraph(account),
        other: AuthorGraph(other, 6, 1),
    }


async def test_posts_are_gone_and_the_index_is_until_then_what_finds_them(stores, fresh):
    author = fresh()
    ids = [posted(author) + n for n in range(3)]
    await put(stores, *(PostEvent("published", one, author, T0, body="text") for one in ids))

    await stores.posts.forget_posts(author, ids[:2])
    await put(stores, PostEvent("edited", ids[0], author, LATE, body="again"))

    assert set(await stores.posts.posts(ids)) == {ids[2]}
    assert [row.post_id for row in await stores.posts.recent(author, 0, MAX_ID, 10)] == ids[::-1]
    await stores.posts.forget_index(author)
    assert await stores.posts.recent(author, 0, MAX_ID, 10) == []


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
async def test_a_deleted_post_has_no_body_and_no_media_whatever_edits_come(stores, fresh, order):
    author = fresh()
    one = posted(author)
    media = ({"url": "https://m.example/1"},)
    events = [
        PostEvent("published", one, author, T0, body="text", media=media),
        PostEvent("deleted", one, author, T0 + 1),
        PostEvent("edited", one, author, T0 + 2, body="more", media=media),
    ]
    for at in order:
        await put(stores, events[at])

    found = (await stores.posts.posts([one]))[one]
    assert (found.deleted, found.body, found.media) == (True, "", ())


async def test_a_route_is_gone(stores, fresh):
    author = fresh()
    await stores.routes.put_routes([RouteRecord(author, (), 5), RouteRecord(author + 1, (), 5)])

    await stores.routes.forget_routes(author)
    await stores.routes.put_routes([RouteRecord(author, (), MAX_ID)])

    assert set(await stores.routes.routes([author, author + 1])) == {author + 1}


async def test_a_timeline_is_gone(stores, fresh):
    reader = fresh()
    row = TimelineEntry(first_id(T0), 7, 0, T0 * 1000, 1000)
    await stores.timelines.push([Push([reader, reader + 1], [row])])

    await stores.timelines.forget_timeline(reader)
    await stores.timelines.push([Push([reader], [row])])

    assert await stores.timelines.timeline(reader, 0, MAX_ID, 10) == []
    assert len(await stores.timelines.timeline(reader + 1, 0, MAX_ID, 10)) == 1


async def test_counters_are_gone(stores, fresh):
    post, hour = fresh(), hour_of(T0)
    await stores.counters.put_sketches(
        [Engaged(CounterWindow(one, hour, 0), (1, 2), 1000) for one in (post, post + 1)]
    )

    await stores.counters.forget_counters([post])

    assert await stores.counters.engaged([post, post + 1], 0) == {post + 1: 2}


async def test_an_erased_account_is_suspended_whatever_comes_later(stores, fresh):
    account = fresh()

    told = await stores.readers.hide_erased(account)
    await stores.readers.set_suspended(account, False, LATER)

    assert told == Suspension(account, True, MAX_ID, told.at, erased=True)
    assert await stores.readers.suspensions([account]) == {account: told}
    await stores.readers.forget_account(account)
    assert await stores.readers.suspensions([account]) == {}


async def test_what_readers_say_of_the_account_is_gone_and_what_they_say_of_others_stays(stores, fresh):
    account, reader, readers = fresh(), fresh(), stores.readers
    for author in (account, account + 1):
        for kind in ("block", "mute"):
            await readers.relate(reader, author, kind, True, AT)
        await readers.put_engagements([(reader, author, T0), (reader, author, T0 + 1)])
        await readers.put_hidden([Hide(reader, author, author * 2, True, AT)])

    assert await readers.related_after(account, 0, 10) == [reader]
    assert await readers.forget_mentions(account, [reader, reader + 1]) == {reader}
    await readers.relate(reader, account, "mute", True, LATER)

    others = frozenset({account + 1})
    assert await readers.relations(reader, [account, account + 1]) == Relations(blocks=others, mutes=others)
    assert await readers.affinity(reader, 10) == {account + 1: 2}
    assert (await readers.hidden(reader, 0, 10)).posts == {(account + 1) * 2: account + 1}
    assert await readers.forget_mentions(account, [reader]) == set()


async def test_with_whom_an_account_has_relations_is_listed_in_parts(stores, fresh):
    account, other = fresh(), fresh()
    for n in range(5):
        await stores.readers.relate(account, other + n, "block", True, AT)
        await stores.readers.relate(other + n, account, "block", True, AT)
        await stores.readers.relate(account, other + n, "mute", True, AT)

    assert await stores.readers.related_after(account, 0, 3) == [other, other + 1, other + 2]
    assert await stores.readers.related_after(account, other + 2, 3) == [other + 3, other + 4]


@pytest.mark.parametrize("said", ["mute", "hide", "engagement"])
async def test_who_says_something_of_others_is_found_without_an_account(stores, fresh, said):
    reader, readers = fresh(), stores.readers
    if said == "mute":
        await readers.relate(reader, reader + 1, "mute", True, AT)
    elif said == "hide":
        await readers.put_hidden([Hide(reader, reader + 1, 5, True, AT)])
    else:
        await readers.put_engagements([(reader, reader + 1, T0)])

    found, place = [], FIRST
    while some := await readers.mentions_after(place, 100):
        assert some == sorted(some)
        found += [one for _, one in some]
        place = some[-1][0]
    assert found.count(reader) == 1


async def test_an_account_is_gone_as_a_reader(stores, fresh):
    account, other, readers = fresh(), fresh(), stores.readers
    account_event = AccountEvent("registered", account, "eu", protected=True, at=T0)
    await readers.put_accounts([Placed(account_event, 0)])
    await readers.put_seen({account: T0})
    await readers.put_cohorts([ReaderState(account, active=True, covered_from=5, cohort_at=T0)])
    await readers.put_readers_caught_up([account], 5, ttl_s=1000)
    await readers.relate(account, other, "block", True, AT)
    await readers.put_engagements([(account, other, T0)])
    await readers.put_hidden([Hide(account, other, 5, True, AT)])

    await readers.forget_account(account)
    await readers.put_seen({account: LATE})

    assert await readers.reader(account) == ReaderState(account, covered_from=NOT_COVERED)
    assert await readers.relations(account, [other]) == Relations()
    assert await readers.affinity(account, 10) == {}
    assert (await readers.hidden(account, 0, 10)).posts == {}
    assert (await readers.relations(other, [account])).blocked_by == {account}


def posted(author):
    """The id of a post that nobody else in this session has."""
    return first_id(T0) + author // 1000


async def put(stores, *events):
    """Posts, one after another."""
    await stores.posts.put_posts([Placed(event, 0) for event in events], {})
