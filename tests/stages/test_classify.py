"""Classify: every effect is durable before the next one begins, and a replay from anywhere ends the same."""

from collections import Counter
from dataclasses import replace

import pytest

from pipeline.domain import hints, segments
from pipeline.errors import Unavailable
from pipeline.wire.records import AuthorClass, PostEvent, RepairTask
from tests import exported
from tests.stages.classifier import AUTHOR, DAY, KEPT, OTHER, T0, World, post_id, published
from tests.stages.fakes import Fault

PUSH, PARTIAL, PULL = AuthorClass.PUSH, AuthorClass.PARTIAL, AuthorClass.PULL


async def test_each_effect_is_durable_before_the_next_begins():
    """The post in its table and the route in the table, then in the topic; then, together, its tasks and what
    subscribers and caches are told.
    """
    world, fault, seen = World(), Fault(), []
    await world.followers(30)

    async def watch():
        _, posts, routes = await world.tables(AUTHOR)
        topics = list(dict.fromkeys(message.topic for message in world.outbox.sent))
        seen.append((len(posts), len(routes), *topics))

    fault.watch = watch
    await world.handle([published(T0)], fault)

    last = ("page.changes", "fanout.medium", "posts.classified")
    assert seen[-1] == (1, 1, "author.routes", *last)
    for posts, routes, *topics in seen:
        assert routes == 1 or not topics
        assert (posts, topics[:1]) == (1, ["author.routes"]) or not {*last} & {*topics}


LIFE = [
    # followers, segments, events: an author becomes partial, pull, partial and push again, and that is forgotten
    (5, 1, [published(T0), published(T0 + 1, OTHER)]),
    (
        30,
        2,
        [published(T0 + 1_000), PostEvent("edited", post_id(T0), AUTHOR, T0 + 1_500, body="other words")],
    ),
    (
        60,
        3,
        [
            published(T0 + 2_000),
            published(T0 + 1_999),
            PostEvent("deleted", post_id(T0 + 1_000), AUTHOR, T0 + 2_500),
        ],
    ),
    (30, 2, [published(T0 + 3_000), published(T0 + 3_001, OTHER)]),
    (3, 1, [published(T0 + 4_000)]),
    (3, 1, [published(T0 + 4_000 + KEPT - 1)]),
    (3, 1, [published(T0 + 4_000 + KEPT), published(T0 + 4_000 + KEPT + 1)]),
    (60, 3, [published(T0 + KEPT + DAY)]),
]


async def live(world, lives, fault_in=None, fault=None):
    """Work through batches; the one of number `fault_in` dies by the fault and is replayed event by event."""
    survived = True
    for number, (followers, segment_count, events) in enumerate(lives):
        await world.followers(followers, segment_count)
        offset = world.offset
        if number == fault_in:
            try:
                await world.handle(events, fault)
            except Unavailable:
                survived = False
            for n, event in enumerate(events):
                await world.handle([event], first_offset=offset + n)
        else:
            await world.handle(events)
    return survived


@pytest.mark.parametrize("how", ["before", "half", "after"])
@pytest.mark.parametrize("number", range(len(LIFE)))
async def test_a_crash_at_any_call_and_a_replay_leave_the_same_tables(number, how):
    """And no message is missing of those that a life without the crash has sent."""
    calm = World()
    await live(calm, LIFE)

    at, survived = 0, False
    while not survived:
        at += 1
        world = World()
        survived = await live(world, LIFE, number, Fault(at, how))
        assert await world.tables(AUTHOR, OTHER) == await calm.tables(AUTHOR, OTHER)
        assert world.messages() >= calm.messages()
    assert at > 5


async def test_a_life_passes_through_every_class():
    """What the crashes above are tried on: the classes, the routes that readers see, and that they are forgotten."""
    world = World()

    await live(world, LIFE)

    classes = [one.author_class for one in world.outbox.of("posts.classified") if one.author_id == AUTHOR]
    assert classes == [PUSH, PARTIAL, PULL, PARTIAL, PARTIAL, PUSH, PUSH, PUSH, PUSH, PULL]
    histories = [
        one and [entry.author_class for entry in one.entries] for one in world.outbox.of("author.routes")
    ]
    assert histories == [
        [PARTIAL],
        [PARTIAL, PULL],
        [PARTIAL, PULL, PARTIAL],
        [PARTIAL, PULL, PARTIAL, PUSH],
        [PARTIAL, PUSH],
        None,
        [PULL],
    ]


async def test_the_newest_post_of_an_author_with_a_route_reaches_the_readers():
    """Every post moves `latest_post_id`, also when the class stays: queries look no further than that."""
    world = World()
    await world.followers(30)

    for at_ms in (T0, T0 + 1_000):
        await world.handle([published(at_ms)])

    assert [one.latest_post_id for one in world.outbox.of("author.routes")] == [
        post_id(T0),
        post_id(T0 + 1_000),
    ]


async def test_a_plain_push_author_costs_readers_nothing():
    """No route record is published; only the table remembers the newest post."""
    world = World()
    await world.followers(19)

    await world.handle([published(T0)])

    assert world.outbox.of("author.routes") == []
    assert (await world.stores.routes.routes([AUTHOR]))[AUTHOR].latest_post_id == post_id(T0)


@pytest.mark.parametrize(
    ("followers", "topic", "author_class"),
    [
        (9, "fanout.small", PUSH),
        (10, "fanout.medium", PUSH),
        (19, "fanout.medium", PUSH),
        (20, "fanout.medium", PARTIAL),
        (39, "fanout.medium", PARTIAL),
        (40, "fanout.large", PARTIAL),
        (49, "fanout.large", PARTIAL),
    ],
)
async def test_tasks_go_to_the_tier_of_the_authors_size(followers, topic, author_class):
    """At the limits of tiers and classes; the task carries the class the post was given."""
    world = World()
    await world.followers(followers)

    await world.handle([published(T0)])

    (task,) = world.outbox.of(topic)
    assert (task.post_id, task.author_id, task.author_class) == (post_id(T0), AUTHOR, author_class)


@pytest.mark.parametrize(("followers", "segment_count"), [(50, 3), (51, 3), (0, 0)])
async def test_above_the_pull_threshold_and_without_followers_there_are_no_tasks(followers, segment_count):
    """The post is stored, and subscribers hear of it."""
    world = World()
    await world.followers(followers, segment_count)

    await world.handle([published(T0)])

    (classified,) = world.outbox.of("posts.classified")
    assert classified.followers == followers
    assert not [message for message in world.outbox.sent if message.topic.startswith("fanout")]
    assert list(await world.stores.posts.posts([post_id(T0)])) == [post_id(T0)]


@pytest.mark.parametrize("segment_count", [1, 3, 4, 5, 11, 400])
async def test_tasks_cover_all_segments_once_each_on_its_shard(segment_count):
    """At most four tasks a post; each sits on the partition of its first segment."""
    world = World()
    await world.followers(15, segment_count)

    await world.handle([published(T0)])

    tasks = world.outbox.of("fanout.medium")
    assert len(tasks) == min(segment_count, 4)
    covered = [n for task in tasks for n in range(task.first_segment, task.last_segment + 1)]
    assert covered == list(range(segment_count))
    shards = [segments.shard(AUTHOR, task.first_segment, 5) for task in tasks]
    assert [message.partition for message in world.outbox.sent if message.topic == "fanout.medium"] == shards


async def test_no_two_messages_of_a_post_have_one_id():
    """Subscribers drop what they have seen by its id: also two tasks on one shard must differ."""
    world = World()
    await world.followers(5, 400)

    await world.handle([published(T0)])

    ids = Counter(dict(message.headers)["ce_id"] for message in world.outbox.sent)
    assert len(world.outbox.sent) == 6
    assert set(ids.values()) == {1}


@pytest.mark.parametrize("headers", [[], [("traceparent", b"00-1-2-01")], [("origin_ts", b"rubbish")]])
async def test_every_message_says_when_its_path_began(headers):
    """The producer's trace goes along, and its absence or rubbish does not cost the publish time."""
    world = World()
    await world.followers(30)

    await world.handle([published(T0)], headers=headers)

    for message in world.outbox.sent:
        for began in ("origin_ts", "tideline_entered_at"):
            assert [value for name, value in message.headers if name == began] == [b"%d" % T0]
        traces = [value for name, value in headers if name == "traceparent"]
        assert [value for name, value in message.headers if name == "traceparent"] == traces


@pytest.mark.parametrize("kind", ["edited", "deleted"])
async def test_an_edit_or_a_delete_changes_the_post_and_sends_it_nowhere(kind):
    """No fan-out task, no class: the rows point to the post. Those of a deleted one go by and by."""
    world = World()
    await world.followers(30)
    await world.handle([published(T0)])
    before = world.outbox.caused()

    assert await world.handle([PostEvent(kind, post_id(T0), AUTHOR, T0 + 1_000, body="new")]) == []

    post = (await world.stores.posts.posts([post_id(T0)]))[post_id(T0)]
    assert (post.body, post.deleted) == {"edited": ("new", False), "deleted": ("", True)}[kind]
    gone = [RepairTask(AUTHOR, (), 0, 0, post_id(T0), post_id(T0) + 1, at=T0 + 1_000)]
    assert world.outbox.of("fanout.retract") == (gone if kind == "deleted" else [])
    assert [message for message in world.outbox.caused() if message.topic != "fanout.retract"] == before


@pytest.mark.parametrize("together", [True, False])
async def test_a_post_published_again_is_told_of_and_keeps_its_hints(together):
    """Its later version is shown, whole; the rows are those of the first, in whatever batches the two come."""
    world = World()
    await world.followers(5)
    first, second = published(T0), replace(published(T0), body="w" * 300, at=T0 + 500)

    for batch in [[first, second]] if together else [[first], [second]]:
        assert await world.handle(batch, now_ms=T0) == []
        await world.followers(30)

    (row,) = await world.stores.posts.recent(AUTHOR, 0, 2**63 - 1, 9)
    assert row.hints == hints.of_post(followers=5, body="words", media=0)
    assert {task.hints for task in world.outbox.of("fanout.small")} == {row.hints}
    assert (await world.stores.posts.posts([post_id(T0)]))[post_id(T0)].body == "w" * 300
    told = [one.ids for one in world.outbox.of("page.changes") if one.kind == "post"]
    assert told == [(post_id(T0),)]


async def test_thresholds_changed_while_running_count_from_the_next_post():
    """The class of what is there does not change."""
    world = World()
    await world.followers(15)
    await world.handle([published(T0)])
    await world.followers(25)
    await world.handle([published(T0 + 1_000), published(T0)])

    classes = [one.author_class for one in world.outbox.of("posts.classified")]
    assert classes == [PUSH, PARTIAL, PUSH]


async def test_posts_are_counted_by_the_class_they_have():
    world = World()
    await world.followers(19)
    counted = exported.Counted("tideline_posts_classified_total", author_class="push")

    await world.handle([published(T0), published(T0 + 1)])

    assert counted() == 2
