"""Erased accounts, while their rows are still in the tables: shown to nobody, and nothing is shown to them."""

import pytest

from pipeline.audit.auditor import AuditLimits, Auditor
from pipeline.domain.audit import Feed
from pipeline.domain.budgets import Tier
from pipeline.query.looks import Following
from tests.query.feeds import MARGIN, READER, T0, WINDOW, Author, World, at
from tests.twin import Clock


async def world_with():
    """A reader with two posts, who follows 10 and 11, each with a post."""
    world = World([Author(10, {100: ""}), Author(11, {120: ""})], own=[110, 130])
    await world.settle()
    return world


async def erase(world, account, *, stale):
    """As the readers stage does; when the views are too old, pages have the tables alone."""
    told = await world.stores.readers.hide_erased(account)
    if stale:
        world.kafka.away, world.kafka.clock.now = True, T0 + 100_000
    else:
        world.suspensions[account] = told


each_way = pytest.mark.parametrize("stale", [False, True])


@each_way
async def test_nobody_is_shown_their_posts(stale):
    world = await world_with()

    await erase(world, 10, stale=stale)

    shown = [item.post.post_id for page in await world.session(50) for item in page.items]
    assert shown == [at(130, READER), at(120, 11), at(110, READER)]
    assert await world.query.post(READER, at(100, 10)) is None


@each_way
async def test_nothing_is_shown_to_them(stale):
    """Their own posts neither; the same as when everything of theirs is gone."""
    world = await world_with()

    await erase(world, READER, stale=stale)

    [page] = await world.session(50)
    assert (page.items, page.next_cursor) == ((), None)
    assert await world.query.post(READER, at(110, READER)) is None
    assert await world.query.post(READER, at(120, 11)) is None
    assert await world.query.following(READER, 11) == Following(READER, 11, False, None, False, False)


async def test_an_audit_finds_nothing_missing_from_pages_that_are_empty():
    world = await world_with()
    await erase(world, READER, stale=False)

    async def serve(reader_id, down_to):
        return Feed([], 1, 0)

    limits = AuditLimits(WINDOW, MARGIN, -1_000_000, edge_ms=0)
    auditor = Auditor(world.stores, serve, limits, [Tier("small", None, 1.0)], Clock(T0 + 250))
    verdict = await auditor.examine(READER)

    assert (verdict.found, verdict.posts.total()) == ([], 0)
