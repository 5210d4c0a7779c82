"""One post for one reader, and how a reader stands to an author."""

import pytest

from pipeline.query.looks import Following
from pipeline.store.values import Edge, Placed
from pipeline.wire.records import AccountEvent
from tests.query.feeds import READER, T0, Author, World, at

STRANGER = 99


async def world_with(**author):
    """A reader and an author, 10, with a post of 100 ms after T0; the id of the post."""
    world = World([Author(**{"posts": {100: ""}} | author)], own=[110])
    await world.settle()
    return world, at(100, 10)


@pytest.mark.parametrize(
    ("author", "seen"),
    [
        ({}, True),
        ({"fact": "left"}, True),
        ({"fact": "muted"}, True),
        ({"fact": "suspended"}, False),
        ({"fact": "blocked"}, False),
        ({"fact": "blocks"}, False),
        ({"posts": {100: "followers"}}, True),
        ({"posts": {100: "followers"}, "fact": "left"}, False),
        ({"posts": {100: "private"}}, False),
        ({"posts": {100: "deleted"}}, False),
        ({"posts": {100: "down *"}}, False),
        ({"posts": {100: "down eu"}}, False),
        ({"posts": {100: "down us"}}, True),
    ],
)
async def test_a_post_is_there_for_those_who_may_see_it(author, seen):
    """The reader is of region eu. A mute is for feeds: who asks for a post has asked."""
    world, post_id = await world_with(**author)

    post = await world.query.post(READER, post_id)

    assert (None if post is None else post.post_id) == (post_id if seen else None)


async def test_a_post_nobody_made_is_none():
    """As one that may not be seen."""
    world, _ = await world_with()

    assert await world.query.post(READER, 5) is None


async def test_the_posts_of_a_protected_author_are_for_followers():
    """Whatever visibility they were published with."""
    world, post_id = await world_with()
    await world.stores.readers.put_accounts([Placed(AccountEvent("registered", 10, "eu", True, T0), 0)])

    assert await world.query.post(READER, post_id) is not None
    assert await world.query.post(STRANGER, post_id) is None


async def test_ones_own_post_is_there():
    """Nobody follows themselves."""
    world, _ = await world_with()

    assert await world.query.post(READER, at(110, READER)) is not None


@pytest.mark.parametrize(
    ("fact", "follows", "muted", "blocked"),
    [
        ("", True, False, False),
        ("left", False, False, False),
        ("muted", True, True, False),
        ("blocked", True, False, True),
        ("blocks", True, False, False),
    ],
)
async def test_how_a_reader_stands_to_an_author(fact, follows, muted, blocked):
    """A block by the author is not told: the posts are gone, the reason is the author's."""
    world, _ = await world_with(fact=fact)

    found = await world.query.following(READER, 10)

    assert found == Following(READER, 10, follows, T0 if follows else None, muted, blocked)


async def test_since_is_when_the_follow_was():
    """Of the last follow, when there were several."""
    world, _ = await world_with()
    await world.stores.graph.put_edges([Edge(READER, 10, False, T0 + 5, 0)])
    await world.stores.graph.put_edges([Edge(READER, 10, True, T0 + 7, 0)])

    assert (await world.query.following(READER, 10)).since == T0 + 7


async def test_a_stranger_does_not_follow():
    """Not an error, and nothing that tells whether the author exists."""
    world, _ = await world_with()

    assert await world.query.following(STRANGER, 5) == Following(STRANGER, 5, False, None, False, False)
