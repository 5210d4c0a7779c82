"""Long runs of posts that may not be seen: pages find what is below them, in few reads, or say where they were."""

import asyncio

import pytest

from pipeline.domain import hints
from pipeline.domain.merge import Row, Source
from pipeline.domain.order import Version
from pipeline.query import deadline
from pipeline.store.values import Hide, Placed, Push, TimelineEntry
from pipeline.wire.records import PostEvent
from tests.query.feeds import READER, T0, Author, at
from tests.query.test_ladder import reader_of

DIARY, SEEN, RUN = 10, 11, 2_100
NEWEST = 240


def run_of(author, count=RUN):
    """Ids of as many posts of one moment, newer than all others."""
    return [at(NEWEST, 1_000 + n) | author << 14 for n in range(count)]


class Counted:
    """Stores that say how often each method was called, and about how many posts."""

    def __init__(self, reader):
        self.calls, self.fetched = [], 0
        reader.hanging.stuck = self._note

    def _note(self, port, name, first):
        self.calls.append(name)
        self.fetched += len(first) if name == "posts" else 0
        return False


async def a_run(reader, posts, author=DIARY):
    """Rows of the timeline, and their posts."""
    events = [PostEvent("published", p, author, T0 + NEWEST, visibility="public", body="") for p in posts]
    await put(reader.world.stores.posts, events)
    entries = [TimelineEntry(p, author, 0, (T0 + NEWEST) * 1000, 1_000) for p in posts]
    await reader.world.stores.timelines.push([Push([READER], entries)])


async def put(posts, events):
    await posts.put_posts([Placed(event, n) for n, event in enumerate(events)], {})


def two():
    return Author(DIARY), Author(SEEN, dict.fromkeys(range(200, 205), ""))


FIVE = [at(ms, SEEN) for ms in (204, 203, 202, 201, 200)]


@pytest.mark.parametrize("mode", ["latest", "ranked"])
async def test_what_the_reader_has_hidden_is_passed_without_fetching_it(mode):
    async with reader_of(*two()) as reader:
        posts = run_of(DIARY)
        await a_run(reader, posts)
        await reader.world.stores.readers.put_hidden(
            [Hide(READER, DIARY, p, True, Version(T0, 0)) for p in posts]
        )
        counted = Counted(reader)

        page = await reader.page(limit=20, mode=mode, timeout_ms=2_000)

        assert sorted(item.post.post_id for item in page.items) == sorted(FIVE)
        assert (list(page.degraded), counted.fetched) == ([], 5)
        assert counted.calls.count("timeline") <= 6


@pytest.mark.parametrize("mode", ["latest", "ranked"])
async def test_what_was_taken_down_is_fetched_many_at_a_time(mode):
    """Nothing but the post itself tells."""
    async with reader_of(*two()) as reader:
        posts = run_of(DIARY, 250)
        await a_run(reader, posts)
        for post in posts:
            await reader.world.stores.posts.take_down(post, ["*"], Version(T0 + NEWEST, 0))
        counted = Counted(reader)

        page = await reader.page(limit=20, mode=mode, timeout_ms=2_000)

        assert sorted(item.post.post_id for item in page.items) == sorted(FIVE)
        assert counted.calls.count("posts") <= 6


@pytest.mark.parametrize("mode", ["latest", "ranked"])
async def test_a_page_that_has_found_nothing_goes_on_past_its_deadline(mode, monkeypatch):
    """
    ::

        deadline 2 s    each read takes 1 s, on a busy machine more    what it may take at last: 20 s
    """
    monkeypatch.setattr(deadline, "LONGEST_S", 20.0)
    async with reader_of(*two()) as reader:
        posts = run_of(DIARY)
        await a_run(reader, posts)
        await reader.world.stores.readers.put_hidden(
            [Hide(READER, DIARY, p, True, Version(T0, 0)) for p in posts]
        )
        slow = reader.world.stores.timelines.timeline

        async def timeline(*args, **named):
            await asyncio.sleep(1.0)
            return await slow(*args, **named)

        monkeypatch.setattr(reader.world.stores.timelines, "timeline", timeline)

        page = await reader.page(limit=20, mode=mode, timeout_ms=2000)

        assert sorted(item.post.post_id for item in page.items) == sorted(FIVE)


async def test_a_page_whose_time_is_over_says_how_far_it_has_looked(monkeypatch):
    """It is empty, for want of time, and neither the end nor a 503: the next page begins where it stopped."""
    monkeypatch.setattr(deadline, "LONGEST_S", 0.1)
    async with reader_of(*two()) as reader:
        posts = run_of(DIARY, 300)
        await a_run(reader, posts)
        await reader.world.stores.readers.put_hidden(
            [Hide(READER, DIARY, p, True, Version(T0, 0)) for p in posts]
        )
        calls = []
        reader.hanging.stuck = lambda port, name, first: (
            name == "timeline" and (calls.append(0) or len(calls) > 2)
        )

        cut = await reader.page(limit=20)
        reader.hanging.go.set()
        rest = await reader.page(cut.next_cursor, limit=20, timeout_ms=2_000)

        assert (list(cut.items), list(cut.degraded)) == ([], ["hydration"])
        assert [item.post.post_id for item in rest.items] == FIVE


def test_a_source_passes_over_what_it_knows_to_be_withheld_and_reads_wider():
    """::

    rows     9 8p 7p 6g 5g   4 …    p private, g gone
    shown    9
    """
    marks = {9: 0, 8: hints.PRIVATE, 7: hints.PRIVATE, 6: hints.GONE, 5: hints.GONE}
    rows = [Row(post, 1, mark) for post, mark in marks.items()]
    theirs, own = Source("pull", 1, 0, 10), Source("own", 1, 0, 10)

    theirs, own = theirs.extended(rows, 5), own.extended(rows, 5)

    assert ([row.post_id for row in theirs.items], theirs.horizon, theirs.stride) == ([9], 5, 4)
    assert ([row.post_id for row in own.items], own.horizon, own.stride) == ([9, 8, 7], 5, 1)
    theirs = theirs.extended([Row(4, 1, 0), Row(3, 1, 0)], 20)
    assert ([row.post_id for row in theirs.items], theirs.horizon, theirs.stride) == ([9, 4, 3], 0, 1)
