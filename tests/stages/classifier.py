"""The classify stage on in-memory stores, for `test_classify` and `test_classify_refusals`."""

from pipeline.domain.budgets import Tier
from pipeline.domain.routing import NO_INFLUENCES, Thresholds
from pipeline.domain.snowflake import first_id
from pipeline.kafka.emit import Emit
from pipeline.stages.classify import Classify, Retention
from pipeline.store.memory import memory_stores
from pipeline.store.values import AuthorGraph
from pipeline.wire.records import PostEvent
from tests.stages.fakes import Fault, RecordingOutbox, deliver

AUTHOR, OTHER, T0, DAY = 7, 8, 1_700_000_000_000, 86_400_000
KEPT = 31 * DAY
"""How long classes are kept: the window, and a day."""

TIERS = [Tier("small", 10, 2.0), Tier("medium", 40, 5.0), Tier("large", None, 30.0)]
TOPICS = {"small": "fanout.small", "medium": "fanout.medium", "large": "fanout.large"}
SHARDS = {"small": 3, "medium": 5, "large": 8}


def post_id(at_ms, sequence=0):
    return first_id(at_ms) + sequence


def published(at_ms, author=AUTHOR, sequence=0, **fields):
    return PostEvent("published", post_id(at_ms, sequence), author, at_ms, body="words", **fields)


class World:
    """Stores, an outbox and the stage on them: push below 20 followers, pull from 50 on."""

    def __init__(self):
        self.stores, self.outbox, self.offset = memory_stores(lambda: 0.0), RecordingOutbox(), 0
        self.influences, self.tiers_asked = NO_INFLUENCES, []

    def influence(self, post, tier):
        """What an operator, containment and costs say of AUTHOR now; of others they say nothing."""
        self.tiers_asked.append(tier)
        return self.influences if post.record.author_id == AUTHOR else NO_INFLUENCES

    async def followers(self, count, segment_count=1, author=AUTHOR):
        """What the graph stage has counted by now."""
        await self.stores.graph.put_author_graphs([AuthorGraph(author, count, segment_count)])

    async def handle(self, events, fault=None, *, now_ms=None, first_offset=None, headers=()):
        """One batch, with the broker's time of each message that of its event unless it is given."""
        fault = fault or Fault()
        stores, offset = fault.stores(self.stores), self.offset if first_offset is None else first_offset
        stage = Classify(
            posts=stores.posts,
            graph=stores.graph,
            routes=stores.routes,
            emit=Emit(fault.wrap(self.outbox), "classify"),
            thresholds=lambda: Thresholds(20, 50, 0.2),
            window=Retention(30 * DAY, KEPT),
            tiers=TIERS,
            fanout_topics=TOPICS,
            shards=SHARDS,
            tasks_per_post=4,
            influences=self.influence,
        )
        batch = [
            deliver(event, offset=offset + n, at_ms=now_ms or event.at, topic="posts", headers=headers)
            for n, event in enumerate(events)
        ]
        self.offset = offset + len(batch)
        return [(one.reason, one.message.offset) for one in await stage.handle(batch)]

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
