"""Fan-out: a task becomes the rows of one segment, and the rest of its range goes back into the queue."""

import asyncio

import pytest

from pipeline.domain import segments
from pipeline.kafka.ports import NotDelivered, Outgoing
from pipeline.store.ports import StoreUnavailable
from pipeline.store.values import Followers, TimelineEntry
from pipeline.wire.codec import encode
from pipeline.wire.records import Containment
from tests import exported
from tests.stages.fakes import Fault
from tests.stages.writer import (
    AUTHOR,
    DAY,
    HINTS,
    NOW,
    OTHER,
    PARTIAL,
    POST,
    PULL,
    PUSH,
    SHARDS,
    World,
    plain,
    task,
)
from tests.waiting import eventually_async


async def test_every_follower_of_the_segment_gets_the_post():
    """Those of the task's first segment and nobody else, with author and hints."""
    world = World(plain(s0=(1, 2), s1=(3,)))

    await world.handle([task(0, 0)])

    assert await world.readers(1, 2, 3) == [1, 2]
    ((row,), _) = (await world.rows(1, 2)).values()
    assert (row.post_id, row.author_id, row.hints) == (POST, AUTHOR, HINTS)


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 1), (3, 9)])
async def test_what_is_put_back_covers_the_rest_segment_by_segment(first, last):
    """One message costs one segment; each message of the rest sits on the shard of its first segment."""
    world = World({(AUTHOR, n): Followers((100 + n,), {}) for n in range(12)})

    waiting, done = [task(first, last)], []
    while waiting:
        await world.handle(waiting)
        done.append(waiting[0].first_segment)
        waiting = world.outbox.of("fanout.small")[len(done) - 1 :]
        assert len(waiting) <= 1

    assert done == list(range(first, last + 1))
    assert await world.readers(*range(100, 112)) == [100 + n for n in done]
    rest = zip(world.outbox.of("fanout.small"), world.outbox.sent, strict=True)
    assert all(m.partition == segments.shard(AUTHOR, one.first_segment, SHARDS) for one, m in rest)
    assert len({dict(message.headers)["ce_id"] for message in world.outbox.sent}) == last - first


async def test_the_rest_is_put_back_once_however_often_the_store_is_away():
    """The loop tries a batch again without end; each try must not leave another rest in the topic."""
    world = World(plain(s0=(1,), s1=(2,)))
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await world.handle([task(0, 1)], Fault(1))

    await world.handle([task(0, 1)])

    assert world.outbox.of("fanout.small") == [task(1, 1)]


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_crash_at_any_call_and_a_replay_write_the_same_rows(at, how):
    """The rows of the segment once, and the rest at least once."""
    calm, world = World(plain(s0=(1,), s1=(2,))), World(plain(s0=(1,), s1=(2,)))
    await calm.handle([task(0, 1)])

    with pytest.raises((StoreUnavailable, NotDelivered)):
        await world.handle([task(0, 1)], Fault(at, how))
    await world.handle([task(0, 1)], first_offset=0)

    assert await world.rows(1, 2) == await calm.rows(1, 2)
    assert {(m.value, *m.headers) for m in world.outbox.sent} == {
        (m.value, *m.headers) for m in calm.outbox.sent
    }


@pytest.mark.parametrize(("warm_since", "pushed"), [(POST - 1, True), (POST, True), (POST + 1, False)])
async def test_a_partial_post_goes_to_warm_edges(warm_since, pushed):
    """Warm at or before the post; a cold edge has no entry at all."""
    world = World({(AUTHOR, 0): Followers((1, 2), {1: warm_since})})

    await world.handle([task(author_class=PARTIAL)])

    assert await world.readers(1, 2) == [1] * pushed


@pytest.mark.parametrize(("author_class", "readers"), [(PUSH, [1, 2]), (PARTIAL, [1]), (PULL, [])])
async def test_the_class_of_the_task_decides(author_class, readers):
    """Push to all, whether warm or not; pull to none."""
    world = World({(AUTHOR, 0): Followers((1, 2), {1: 5})})

    await world.handle([task(author_class=author_class)])

    assert await world.readers(1, 2) == readers


async def test_a_batch_may_hold_posts_of_both_classes():
    """As it does when an author turns partial: each goes where its class says."""
    world = World({(AUTHOR, 0): Followers((1, 2), {1: 5})})

    await world.handle(
        [task(), task(post=POST + 1, author_class=PARTIAL), task(post=POST + 2, author_class=PULL)]
    )

    found = {
        reader: [row.post_id - POST for row in rows] for reader, rows in (await world.rows(1, 2)).items()
    }
    assert found == {1: [1, 0], 2: [0]}


class Pushed:
    """A timeline store that shows what it is asked to write."""

    def __init__(self):
        self.entries = []

    async def push(self, pushes):
        self.entries += [entry for push in pushes for entry in push.entries]
        return 0


@pytest.mark.parametrize(
    ("age_ms", "ttl_s"),
    [
        (0, 2_592_000),
        (1, 2_591_999),
        (DAY, 2_505_600),
        (30 * DAY - 1_000, 1),
        (30 * DAY - 999, 0),
        (30 * DAY, 0),
    ],
)
async def test_a_row_lives_to_the_end_of_the_posts_window(age_ms, ttl_s):
    """As of the post's time, so that a late push or a replay can neither outlive it nor undo what came later."""
    world = World(plain(s0=(1,)), now_ms=NOW + age_ms)
    world.timelines = Pushed()

    await world.handle([task()])

    assert world.timelines.entries == [TimelineEntry(POST, AUTHOR, HINTS, NOW * 1000, ttl_s)]


@pytest.mark.parametrize(("age_ms", "readers"), [(30 * DAY - 1_000, [1]), (30 * DAY, []), (31 * DAY, [])])
async def test_a_post_from_before_the_window_leaves_no_row(age_ms, readers):
    """It would never expire, or live for no time at all."""
    world = World(plain(s0=(1,)), now_ms=NOW + age_ms)

    await world.handle([task()])

    assert await world.readers(1) == readers


async def test_tasks_of_one_segment_share_its_read():
    """A burst of an author's posts costs one read a segment, also when the batches come together."""
    world = World(plain(s0=(1,)))
    world.segments.answer.clear()

    both = asyncio.gather(
        world.handle([task(), task(post=POST + 1)]), world.handle([task(post=POST + 2), task(author=OTHER)])
    )
    await eventually_async(lambda: len(world.segments.reads) == 2)
    world.segments.answer.set()
    await both

    assert sorted(world.segments.reads) == [(AUTHOR, 0), (OTHER, 0)]
    assert [row.post_id for row in (await world.rows(1))[1]] == [POST + 2, POST + 1, POST]


async def test_a_frozen_tier_holds_its_batches_until_it_is_released():
    """Nothing is written, and nothing is acknowledged."""
    world = World(plain(s0=(1,)))
    (frozen,) = [view for view in world.kafka.views if view.topic == "containment"]
    record = Containment("freeze", "small", PULL, 0, "by hand", "operator", NOW, 0)
    world.kafka.append(Outgoing("containment", encode(record), b"operator/freeze/small"))
    frozen.follow()

    async def released(seconds):
        assert await world.readers(1) == []
        world.kafka.append(Outgoing("containment", None, b"operator/freeze/small"))
        frozen.follow()

    world.clock.sleep = released
    await world.handle([task()])

    assert await world.readers(1) == [1]


async def test_a_written_segment_is_told_by_tier_by_class_and_by_step():
    """Published at NOW, handled 3 s later: within 5 s and not within 2. Each step of a batch counts once."""
    world = World(plain(s0=(1, 2), s1=(3,)), now_ms=NOW + 3000)
    edges = [
        exported.Counted("tideline_publish_to_written_seconds_bucket", tier="small", le=edge)
        for edge in ("2.0", "5.0")
    ]
    push = {"author_class": "push", "cohort": "active", "path": "push"}
    visible = exported.Counted("tideline_publish_to_visible_seconds_sum", **push)
    steps = {
        step: exported.Counted("tideline_fanout_step_seconds_count", tier="small", step=step)
        for step in ("fetch", "read", "expand", "write")
    }
    waited = exported.Counted("tideline_fanout_step_seconds_sum", tier="small", step="fetch")

    await world.handle([task(0, 0), task(1, 1)])

    assert [edge() for edge in edges] == [0, 2]
    assert visible() == 6
    assert {step: counted() for step, counted in steps.items()} == dict.fromkeys(steps, 1)
    assert waited() == 3
