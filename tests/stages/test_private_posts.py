"""Classify: nobody but the author may see a private post, so no row of it is due; an edit may change that."""

import pytest

from pipeline.wire.records import PostEvent, RepairTask
from tests.stages.classifier import AUTHOR, T0, World, post_id, published

POST = post_id(T0)


def edited(visibility, ms):
    return PostEvent("edited", POST, AUTHOR, T0 + ms, visibility=visibility)


def repair_of(at_ms):
    return [RepairTask(AUTHOR, (), 0, 0, POST, POST + 1, at=T0 + at_ms)]


@pytest.fixture
async def world():
    found = World()
    await found.followers(5)
    return found


async def test_a_private_post_is_not_pushed(world):
    """It is stored and classified like any other: its author sees it."""
    await world.handle([published(T0, visibility="private")])

    assert world.outbox.of("fanout.small") == []
    assert [one.post_id for one in world.outbox.of("posts.classified")] == [POST]
    assert POST in await world.stores.posts.posts([POST])


@pytest.mark.parametrize("together", [True, False])
async def test_a_post_that_becomes_private_leaves_timelines(world, together):
    """At once for pages; its rows by and by."""
    events = [published(T0), edited("private", 5)]
    for batch in [events] if together else [[one] for one in events]:
        await world.handle(batch)

    assert len(world.outbox.of("fanout.small")) == (0 if together else 1)
    assert world.outbox.of("fanout.retract") == repair_of(5)
    assert ("author", (AUTHOR,)) in [(one.kind, one.ids) for one in world.outbox.of("page.changes")]


@pytest.mark.parametrize("visibility", ["public", "followers"])
async def test_a_post_that_is_private_no_longer_is_written_to_all_followers(world, visibility):
    """A moment after the edit: what was taken out at the same time must not win."""
    await world.handle([published(T0, visibility="private")])
    await world.handle([edited(visibility, 5)])

    assert world.outbox.of("fanout.backfill") == repair_of(6)
    assert world.outbox.of("fanout.retract") == []


async def test_an_edit_that_names_the_visibility_it_had_moves_no_rows(world):
    await world.handle([published(T0)])
    await world.handle([edited("public", 5)])
    await world.handle([edited("followers", 6)])

    assert world.outbox.of("fanout.backfill") == world.outbox.of("fanout.retract") == []


async def test_of_two_edits_of_one_time_the_later_counts(world):
    """Replayed as well: what is true is asked for again."""
    await world.handle([published(T0)])
    for _ in range(2):
        world.outbox.sent.clear()
        await world.handle([edited("private", 5)], first_offset=1)
        await world.handle([edited("public", 5)], first_offset=2)

    assert world.outbox.of("fanout.backfill")[-1:] == repair_of(6)
    assert not (await world.stores.posts.posts([POST]))[POST].gone


async def test_a_late_edit_that_is_overtaken_asks_for_what_is_true(world):
    await world.handle([published(T0), edited("public", 9)])
    world.outbox.sent.clear()

    await world.handle([edited("private", 5)])

    assert world.outbox.of("fanout.retract") == []
    assert world.outbox.of("fanout.backfill") == repair_of(6)
