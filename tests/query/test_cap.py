"""A session of pages ends at its domain's cap, and the auditor asks for nothing behind it."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audit.auditor import AuditLimits, Auditor
from pipeline.domain.audit import Feed, Served
from pipeline.domain.budgets import Tier
from tests.domain.examples import at_least
from tests.query.feeds import AS_OF, MARGIN, READER, T0, WINDOW, World, ids, worlds
from tests.twin import Clock

OWN = range(100, 110)
"""Ten posts of the reader's own, a millisecond apart."""


def capped(world, cap):
    world.query = replace(world.query, cap=cap)
    return world


def session(world, limit, between=None):
    async def run():
        await world.settle()
        return await world.session(limit, between)

    return asyncio.run(run())


@at_least(200)
@given(worlds, st.integers(1, 9), st.integers(1, 20))
def test_a_session_is_the_feed_down_to_the_cap(world, limit, cap):
    pages = session(capped(world, cap), limit)

    assert ids(pages) == world.shown()[:cap]


@pytest.mark.parametrize(
    ("limit", "sizes"), [(3, [3, 3, 1]), (7, [7]), (100, [7]), (1, [1] * 7)], ids=["3", "7", "100", "1"]
)
def test_the_last_page_is_cut_at_the_cap_and_has_no_cursor(limit, sizes):
    pages = session(capped(World(own=OWN), 7), limit)

    assert [len(page.items) for page in pages] == sizes


@pytest.mark.parametrize(("cap", "shown"), [(9, 9), (10, 10), (11, 10), (None, 10)])
def test_what_is_above_the_cap_is_shown_whole(cap, shown):
    assert len(ids(session(capped(World(own=OWN), cap), 4))) == shown


def test_a_cap_that_was_lowered_ends_the_sessions_that_are_beyond_it():
    world = World(own=OWN)

    async def lowered(_):
        world.query = replace(world.query, cap=4)

    pages = session(world, 5, lowered)

    assert [(len(page.items), page.next_cursor) for page in pages[1:]] == [(0, None)]


def audited(world, told):
    async def serve(reader_id, down_to):
        items = [item for page in await world.session(50) for item in page.items]
        return Feed([Served(i.post.post_id, i.post.author_id, i.post.body, i.path) for i in items])

    async def run():
        await world.settle()
        limits = AuditLimits(WINDOW, MARGIN, 0, edge_ms=0, cap=told)
        return await Auditor(world.stores, serve, limits, [Tier("all", None, 1)], Clock(T0 + AS_OF)).examine(
            READER
        )

    return asyncio.run(run())


def test_the_auditor_misses_nothing_behind_the_cap():
    assert audited(capped(World(own=OWN), 7), 7).faults == []


def test_an_auditor_that_does_not_know_the_cap_would():
    found = audited(capped(World(own=OWN), 7), None).faults

    assert [one.finding.kind for one in found] == ["missing"] * 3


def test_a_feed_that_ends_above_its_cap_is_audited_to_its_end():
    world = World(own=OWN)
    world.query = replace(world.query, cap=5)

    assert [one.finding.kind for one in audited(world, 6).faults] == ["missing"] * 5
