"""`tideline trace` on a real Kafka with no worker alive: which messages carry a post, and what waits.

Positions are committed by hand, as a worker would have before it died. The tables are the in-memory twins.
"""

from itertools import count

import pytest
from confluent_kafka import Producer

from pipeline.cli import _trace_shown as shown
from pipeline.domain.snowflake import first_id
from pipeline.errors import TidelineError
from pipeline.kafka.dead_letters import dead_letter
from pipeline.kafka.messages import Incoming, Refused
from pipeline.ops.trace import trace
from pipeline.store.memory import memory_stores
from pipeline.store.values import AuthorGraph, Placed
from pipeline.wire.codec import encode
from pipeline.wire.records import AuthorClass, ClassifiedPost, FanoutTask, PostEvent, RouteEntry, RouteRecord
from tests.control.test_lag import Bench, now_ms

AUTHOR, PUSH, PULL = 7, AuthorClass.PUSH, AuthorClass.PULL
TOPICS = ("posts", "posts.classified", "fanout.small", "fanout.medium", "fanout.large", "dead.letters")
_sequence = count(1)


class Path(Bench):
    """The topics of a post's path, and the tables behind them."""

    def __init__(self, kafka):
        super().__init__(kafka)
        self.stores, self.now = memory_stores(), now_ms()

    def put(self, topic, record, partition=0, after_ms=0, source="classify"):
        """One message, so long after the publish."""
        producer = Producer({"bootstrap.servers": self.kafka})
        headers = [("origin_ts", b"%d" % self.now), ("ce_source", f"tideline/{source}".encode())]
        value = record if isinstance(record, bytes) else encode(record)
        at = self.now + after_ms
        producer.produce(self.name(topic), value, str(AUTHOR), partition, headers=headers, timestamp=at)
        assert producer.flush(30) == 0

    def published(self, **more):
        """A post in the topic; not yet in the tables."""
        post = PostEvent(
            "published", first_id(self.now) + next(_sequence), AUTHOR, self.now, "public", **more
        )
        self.put("posts", post)
        return post

    async def classified(self, post, *tasks, followers=5_000, entries=()):
        """As classify leaves it: stored, tasks (segments and partition) in the tier `medium`."""
        await self.stores.posts.put_posts([Placed(post, 0)], {post.post_id: 0})
        await self.stores.graph.put_author_graphs([AuthorGraph(AUTHOR, followers, 5)])
        await self.stores.routes.put_routes([RouteRecord(AUTHOR, entries, post.post_id)])
        for first, last, partition in tasks:
            self.task(post, first, last, partition, 40)
        record = ClassifiedPost(post.post_id, AUTHOR, self.now, "public", "", PUSH, followers)
        self.put("posts.classified", record, after_ms=50)
        self.commit("tideline.classify", "posts", 1)

    def task(self, post, first, last, partition=0, after_ms=0, source="classify"):
        record = FanoutTask(post.post_id, AUTHOR, PUSH, first, last, 0)
        self.put("fanout.medium", record, partition, after_ms, source)

    async def trace(self, post_id, **more):
        found = await trace(self.stores, self.kafka, self.topology, post_id, **more)
        return found, shown.document(found), list(shown.lines(found))


@pytest.fixture
def path(engines):
    made = Path(engines.kafka)
    made.create(*TOPICS)
    with made.offsets:
        yield made


async def test_a_post_that_waits_for_its_classification(path):
    path.published()
    path.published()
    post = path.published()
    path.commit("tideline.classify", "posts", 1)

    found, document, lines = await path.trace(post.post_id)

    assert document["hops"] == [
        {
            "what": "published",
            "stage": "classify",
            "topic": path.name("posts"),
            "partition": 0,
            "offset": 2,
            "at": path.now,
            "since_publish_ms": 0,
            "done": False,
            "records_before": 1,
            "segments": None,
            "rest": False,
        }
    ]
    assert (found.stored, document["visible_to_all"]) == (None, False)
    assert lines[-1] == "waiting at classify partition 0, 1 records before it"


async def test_tasks_are_done_up_to_the_committed_offset(path):
    """
    ::

        partition 0   task 0..1, rest 1..1 of it, another post, task 4..4
                                committed ─┘
        partition 1   task 2..3
                      never committed
    """
    post, other = path.published(), path.published()
    path.commit("tideline.classify", "posts", 2)
    await path.classified(post, (0, 1, 0), (2, 3, 1))
    path.task(post, 1, 1, source="fanout.medium", after_ms=90)
    path.task(other, 0, 0)
    path.task(post, 4, 4, after_ms=70)
    path.commit("tideline.fanout.medium", "fanout.medium", 2)

    found, document, lines = await path.trace(post.post_id)

    tasks = [
        (hop["partition"], hop["segments"], hop["rest"], hop["done"], hop["records_before"])
        for hop in document["hops"]
        if hop["what"] == "task"
    ]
    assert tasks == [
        (0, [0, 1], False, True, 0),
        (1, [2, 3], False, False, 0),
        (0, [4, 4], False, False, 1),
        (0, [1, 1], True, True, 0),
    ]
    assert (found.segments, found.written) == ({0, 1, 2, 3, 4}, {0, 1})
    assert document["tier"] == "medium"
    assert (
        lines[-1] == "waiting at fanout.medium partition 0, 1 records before it, as do 1 other messages of it"
    )
    assert "2 of 5 written" in "\n".join(lines)
    assert any(line.startswith("  +0.090 s") and "rest, segment 1" in line for line in lines)


async def test_a_post_is_visible_when_the_last_rest_is_done(path):
    post = path.published()
    await path.classified(post, (0, 1, 0), followers=0)
    path.commit("tideline.fanout.medium", "fanout.medium", 1)
    before, *_ = await path.trace(post.post_id)
    path.task(post, 1, 1, partition=1, source="fanout.medium")
    waiting = (await path.trace(post.post_id))[2][-1]
    path.commit("tideline.fanout.medium", "fanout.medium", 1, partition=1)

    document = (await path.trace(post.post_id))[1]

    assert shown.visible(before) is None  # a rest that nobody has seen is not known to be written
    assert waiting == "waiting at fanout.medium partition 1, 0 records before it"
    assert (document["visible_to_all"], document["segments"]) == (True, {"seen": 2, "written": 2})


async def test_a_pulled_post_is_visible_as_soon_as_it_is_stored(path):
    post = path.published()
    await path.classified(post, entries=(RouteEntry(1, PULL, "celebrity"),))

    found, document, lines = await path.trace(post.post_id)

    assert (document["class"], document["reason"], found.reached) == ("pull", "celebrity", None)
    assert lines[-1] == "visible to all: readers pull it"


async def test_a_deleted_post_is_visible_to_nobody(path):
    post = path.published()
    await path.classified(post, (0, 0, 0))
    gone = PostEvent("deleted", post.post_id, AUTHOR, path.now + 5)
    path.put("posts", gone, after_ms=5)
    await path.stores.posts.put_posts([Placed(gone, 1)], {})

    _, document, lines = await path.trace(post.post_id)

    assert [hop["what"] for hop in document["hops"] if hop["stage"] == "classify"] == ["published", "deleted"]
    assert (document["visible_to_all"], lines[-1]) == (False, "visible to nobody: it is deleted")


async def test_a_refused_post_is_found_in_the_dead_letters(path):
    post = path.published()
    path.commit("tideline.classify", "posts", 1)
    message = Incoming(path.name("posts"), 0, 0, b"7", encode(post), [], path.now)
    letter = dead_letter(Refused(message, "clock", "an hour ahead"))
    producer = Producer({"bootstrap.servers": path.kafka})
    producer.produce(path.name("dead.letters"), letter.value, letter.key, 0, headers=list(letter.headers))
    assert producer.flush(30) == 0

    _, document, lines = await path.trace(post.post_id)

    (kept,) = document["dead_letters"]
    assert (kept["offset"], kept["reason"], kept["detail"]) == (0, "clock", "an hour ahead")
    assert lines[-1] == "nowhere: it is in the dead letters (clock)"


async def test_what_was_not_looked_through_is_said_and_counts_as_unknown(path):
    others = [path.published() for _ in range(3)]
    post = path.published()
    path.commit("tideline.classify", "posts", 4)
    await path.stores.posts.put_posts([Placed(one, n) for n, one in enumerate((*others, post))], {})
    await path.stores.graph.put_author_graphs([AuthorGraph(AUTHOR, 5_000, 5)])

    found, document, lines = await path.trace(post.post_id, records=2)

    assert document["cut"] == [path.name("posts")]
    assert (found.hops, document["visible_to_all"]) == ((), None)
    assert "--records" in lines[-2]
    assert lines[-1].startswith("not known: there are more records")


async def test_a_post_nobody_has_heard_of_is_an_error_with_a_hint(path):
    path.put("posts", b"\x00garbage")

    with pytest.raises(TidelineError, match="nobody has heard of post") as error:
        await path.trace(first_id(path.now))

    assert "in no topic" in error.value.hint
