"""Classify under influences: forced classes, costs and budgets make entries, and no post is lost by any."""

import itertools

from pipeline.domain.coverage import EdgeCover, pull_ranges
from pipeline.wire.records import AuthorClass, Containment, CostSample, ForcedClass
from tests.stages.classifier import AUTHOR, DAY, OTHER, T0, World, post_id, published

SHED = Containment("shed", "medium", AuthorClass.PULL, 0, "behind", "controller", T0, 0)
PUSH, PARTIAL, PULL = AuthorClass.PUSH, AuthorClass.PARTIAL, AuthorClass.PULL
DEAR_PUSH = {"row_seconds@small": 1.0, "pull_seconds@api": 1e-6, "reads_per_second@api": 1e-6}


def force(world, author_class):
    """As `tideline routing force` does; None: as its release."""
    record = author_class and ForcedClass(AUTHOR, author_class, "because", T0)
    world.say("routing.forced", str(AUTHOR), record)


def classes_of(world, author=AUTHOR):
    return [one.author_class for one in world.outbox.of("posts.classified") if one.author_id == author]


def unreached(posts, pushed, record):
    """The posts that neither the writers nor the queries take care of."""
    ranges = pull_ranges(record.entries, EdgeCover(0), post_id(T0 - DAY), margin_ms=2)
    found = [post.post_id for post in posts if post.post_id not in pushed]
    return [post for post in found if not any(lo <= post < hi for lo, hi in ranges)]


async def test_a_forced_class_counts_from_the_authors_next_post_and_its_release_too():
    """And for nobody else's."""
    world = World()
    await world.followers(5)
    await world.followers(5, author=OTHER)
    for n, author_class in enumerate([None, PULL, PARTIAL, None]):
        force(world, author_class)
        await world.handle([published(T0 + n * 1_000), published(T0 + n * 1_000 + 1, OTHER)])
    await world.handle([published(T0 + n * 1_000) for n in range(4)], first_offset=0)

    assert classes_of(world) == [PUSH, PULL, PARTIAL, PUSH] * 2
    assert set(classes_of(world, OTHER)) == {PUSH}


async def test_a_post_that_costs_too_much_to_push_is_pulled_alone():
    """Its route is in the topic before subscribers hear of it; it sends no task, its neighbours do."""
    world = World()
    await world.followers(5)
    for n, dear in enumerate([False, True, False]):
        for name, value in DEAR_PUSH.items():
            world.say("costs", name, CostSample(name, value, T0) if dear else None)
        await world.handle([published(T0 + n * 1_000)])

    assert classes_of(world) == [PUSH, PULL, PUSH]
    pushed = {task.post_id for task in world.outbox.of("fanout.small")}
    assert pushed == {post_id(T0), post_id(T0 + 2_000)}
    (alone, _) = world.outbox.of("author.routes")
    assert [(e.since_post_id, e.author_class) for e in alone.entries] == [(post_id(T0 + 1_000), PULL)]
    assert alone.entries[0].reason.startswith("cost: pushing to 5 readers")


async def test_budgets_are_asked_for_the_tier_of_the_authors_size():
    world = World()
    world.say("containment", "controller/shed/medium", SHED)
    for followers in (9, 10, 40):
        await world.followers(followers)
        await world.handle([published(T0 + followers)])

    assert classes_of(world) == [PUSH, PULL, PARTIAL]


async def test_a_class_flipped_fifty_times_leaves_every_post_pushed_or_pulled():
    """Forced and released around each post, replayed in the end: what sent no task is in the pull ranges."""
    world = World()
    await world.followers(5)
    posts = [published(T0 + n * 200) for n in range(100)]
    for n, post in enumerate(posts):
        force(world, [None, PULL][n // 2 % 2])
        await world.handle([post])

    classes = classes_of(world)
    assert sum(a is not b for a, b in itertools.pairwise(classes)) == 49
    await world.handle(posts, first_offset=0)
    assert classes_of(world) == classes * 2
    pushed = {task.post_id for task in world.outbox.of("fanout.small")}
    assert len(pushed) == 50
    assert unreached(posts, pushed, world.outbox.of("author.routes")[-1]) == []


async def test_a_history_that_overflows_is_collapsed_and_loses_no_post():
    """Three hundred changes: also a post of the collapsed span, replayed late, is pulled."""
    world = World()
    await world.followers(5)
    posts = [published(T0 + n * 200) for n in range(300)]
    for n, post in enumerate(posts):
        force(world, [None, PULL][n % 2])
        await world.handle([post])

    record = (await world.stores.routes.routes([AUTHOR]))[AUTHOR]
    assert len(record.entries) <= 128
    assert world.outbox.of("author.routes")[-1] == record
    pushed = {task.post_id for task in world.outbox.of("fanout.small")}
    assert unreached(posts, pushed, record) == []
    world.outbox.sent.clear()
    await world.handle(posts[:1] + posts[2:4], first_offset=0)
    assert classes_of(world) == [PUSH, PULL, PULL]
