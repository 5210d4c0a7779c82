"""The classify stage on in-memory stores, for `test_classify` and `test_classify_refusals`."""

from pipeline.domain.snowflake import first_id
from pipeline.kafka.ports import Outgoing
from pipeline.runtime.memory import broker
from pipeline.store.memory import memory_stores
from pipeline.store.values import AuthorGraph
from pipeline.wire.codec import encode
from pipeline.wire.records import PostEvent
from tests.stages.fakes import RecordingOutbox, deliver
from tests.twin import Clock, shaped, stage

AUTHOR, OTHER, T0, DAY = 7, 8, 1_700_000_000_000, 86_400_000
KEPT = 31 * DAY
"""How long classes are kept: the window, and a day."""

SHAPE = shaped(
    window_ms=30 * DAY,
    push_below=20,
    pull_above=50,
    cost_floor=0,
    tasks_per_post=4,
    tiers={"small": 10, "medium": 40, "large": None},
    partitions={"fanout.small": 3, "fanout.medium": 5, "fanout.large": 8},
)


def post_id(at_ms, sequence=0):
    return first_id(at_ms) + sequence


def published(at_ms, author=AUTHOR, sequence=0, **fields):
    return PostEvent("published", post_id(at_ms, sequence), author, at_ms, body="words", **fields)


class World:
    """Stores, an outbox and the stage on them: push below 20 followers, pull from 50 on."""

    def __init__(self):
        self.stores, self.outbox, self.offset = memory_stores(lambda: 0.0), RecordingOutbox(), 0
        self.kafka = broker(SHAPE, Clock())

    def say(self, topic, key, record):
        """What an operator, the controller or a stage that measures says; None: no more."""
        self.kafka.append(Outgoing(topic, None if record is None else encode(record), key.encode()))

    async def followers(self, count, segment_count=1, author=AUTHOR):
        """What the graph stage has counted by now."""
        await self.stores.graph.put_author_graphs([AuthorGraph(author, count, segment_count)])

    async def handle(self, events, fault=None, *, now_ms=None, first_offset=None, headers=()):
        """One batch, with the broker's time of each message that of its event unless it is given."""
        offset = self.offset if first_offset is None else first_offset
        handle = stage("classify", self.stores, self.outbox, topology=SHAPE, kafka=self.kafka, fault=fault)
        batch = [
            deliver(event, offset=offset + n, at_ms=now_ms or event.at, topic="posts", headers=headers)
            for n, event in enumerate(events)
        ]
        self.offset = offset + len(batch)
        return [(one.reason, one.message.offset) for one in await handle(batch)]

    async def tables(self, *authors):
        """All that the stage writes to the store."""
        rows = [await self.stores.posts.recent(author, 0, 2**63 - 1, 1000) for author in authors]
        ids = [row.post_id for each in rows for row in each]
        return rows, await self.stores.posts.posts(ids), await self.stores.routes.routes(authors)

    def messages(self):
        """Every message once, with its id; changes of pages are of a batch, wherever it was cut."""
        return {
            (m.topic, m.key, m.value, m.partition, dict(m.headers).get("ce_id"))
            for m in self.outbox.sent
            if m.topic != "page.changes"
        }
