"""One feed: whatever happens in whatever order, a page is what a model without code of the pipeline says.

Histories of posts, follows, blocks, suspensions, take-downs, thresholds and cohorts go through every stage, with
their calls interleaved at random, crashes, redelivery, stale views and clocks that differ (`tests.stages.whole`).
"""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.snowflake import first_id, time_ms
from pipeline.wire.records import (
    AccountEvent,
    ActivityEvent,
    FollowEvent,
    ModerationEvent,
    PostEvent,
    RoutingSettings,
)
from tests.engines.model import Model
from tests.stages.whole import LIVE, MARGIN, WINDOW, Whole

USERS = range(1, 4)
BY_AUTHOR = ("post", "late", "imported", "deleted", "suspended", "reinstated", "private", "followers")


class World:
    """The stages, the model, and the events that both hear."""

    def __init__(self, seed, **chances):
        self.random = random.Random(seed)
        self.whole, self.model = Whole(self.random, **chances), Model()
        self.posts, self.restored, self.lost, self.at = [], set(), set(), 0

    def tell(self, topic, key, record, **event):
        """An event for both."""
        self.whole.send(topic, key, record)
        self.model.take([{"topic": topic, "type": record.type, "at": record.at, **event}])

    async def do(self, kind, a, b, n):
        """One thing that users or operators do; `n` chooses among its variants."""
        now = self.at = max(self.at + 1, self.whole.now)  # no two events are simultaneous
        if kind in BY_AUTHOR:
            a, b = b, a
        match kind:
            case "post" | "late" | "imported":
                skew = {"post": 0, "late": (-800, 900)[n % 2], "imported": -997 * n}[kind]
                when = min(now + skew, self.whole.now + 900)  # further ahead of the broker it is refused
                post = first_id(when) + len(self.posts) + 1
                self.posts.append((post, a))
                event = PostEvent(
                    "published", post, a, time_ms(post), "public", body="", imported=kind == "imported"
                )
                self.tell("posts", a, event, post_id=post, author_id=a, body="")
            case "deleted" if self.posts:
                post, author = self.posts[-1 - n % len(self.posts)]
                event = PostEvent("deleted", post, author, now)
                self.tell("posts", author, event, post_id=post, author_id=author)
            case "private" | "followers" if self.posts:
                post, author = self.posts[-1 - n % len(self.posts)]
                self.restored |= {post} if kind == "followers" else set()
                event = PostEvent("edited", post, author, now, visibility=kind)
                self.tell("posts", author, event, post_id=post, author_id=author, visibility=kind)
            case "followed" | "unfollowed" if a != b:
                readers = (a,) if n % 3 else tuple(user for user in USERS if user != b)
                self.tell("follows", b, FollowEvent(kind, b, readers, now), author_id=b, follower_ids=readers)
            case "warmed" | "cooled":
                self.whole.send("edge.marks", b, FollowEvent(kind, b, (a,), now))
            case "blocked" | "unblocked" | "muted" | "unmuted" if a != b:
                event = ModerationEvent(kind, now, reader_id=a, author_id=b)
                self.tell("moderation", a, event, reader_id=a, author_id=b)
            case "suspended" | "reinstated":
                self.tell("moderation", a, ModerationEvent(kind, now, author_id=a), author_id=a)
            case "taken_down" | "restored" if self.posts:
                post, _ = self.posts[-1 - n % len(self.posts)]
                self.restored |= {post} if kind == "restored" else set()
                self.tell("moderation", post, ModerationEvent(kind, now, post_id=post), post_id=post)
            case "registered":
                self.whole.send("accounts", a, AccountEvent(kind, a, "", False, now))
            case "opened" | "engaged":
                self.whole.send("activity", a, ActivityEvent(kind, a, now))
            case "lapsed" | "rebuild":
                self.whole.send("reader.marks", a, ActivityEvent(kind, a, now))
            case "lost":
                self.whole.stores.timelines._rows._partitions.pop(a, None)
                self.whole.send("reader.marks", a, ActivityEvent("rebuild", a, now))
                self.lost.add(a)
            case "thresholds":
                both = [(100, 100), (1, 100), (2, 3), (1, 1), (100, 100)][n % 5]
                self.whole.send("routing.settings", "routing", RoutingSettings(*both, now))
            case "time":
                self.whole.advance((1, 300, 1_200, 2_500, 4_500, 15_000)[n % 6])
            case "check":
                await self.check(racing=n % 2 == 1)
        self.whole.advance(1)

    async def check(self, *, racing=False):
        """Once posts, follows and moderation are worked off, whatever else is under way."""
        await self.whole.drain([*LIVE, *["accounts", "activity", "reader.marks"] * bool(self.lost)])
        self.lost.clear()
        self.whole.follow("reader.cohorts")
        await self.compare(exempt=self.restored, racing=racing)

    async def end(self):
        """Everything is worked off and every margin is over."""
        await self.whole.drain(self.whole.topics)
        self.whole.advance(3 * MARGIN)
        self.whole.follow()
        await self.compare(exempt=set())
        for reader in (await self.whole.stores.readers.readers(USERS)).values():
            old = first_id(self.whole.now - WINDOW)  # a fulfilled bound is forgotten with the window
            assert not reader.active or reader.bound <= old, "a return that never was fulfilled"

    async def compare(self, exempt, *, racing=False):
        for reader in USERS:
            limit = self.random.choice([2, 100])
            found = await (self.whole.slow_page if racing else self.whole.page)(reader, limit)
            wanted = [post for post, _ in self.model.feed(reader)]
            assert found == sorted(set(found), reverse=True)
            must = set(wanted) - exempt
            assert not set(found) - set(wanted), f"reader {reader} is shown {set(found) - set(wanted)}"
            assert not must - set(found), f"reader {reader} misses {must - set(found)} at {self.whole.now}"


async def live(history, seed, **chances):
    """The history, with some work after each thing that happens."""
    world = World(seed, **chances)
    for kind, a, b, n, steps in history:
        await world.do(kind, a, b, n)
        await world.whole.work(steps)
    await world.end()


users = st.sampled_from(USERS)
kinds = st.sampled_from(
    [
        *["post"] * 8,
        *["followed"] * 5,
        *["unfollowed"] * 2,
        *["check"] * 3,
        *["time"] * 4,
        *["registered", "opened", "opened", "engaged", "lapsed", "lapsed", "rebuild", "lost"],
        *["late", "imported", "deleted", "warmed", "warmed", "cooled", "thresholds", "thresholds"],
        *["blocked", "unblocked", "muted", "unmuted", "suspended", "reinstated", "taken_down", "restored"],
        *["private", "followers"],
    ]
)
SAGAS = (
    ("opened", "followed", "post", "time"),
    ("post", "unfollowed", "followed", "check"),
    ("post", "blocked", "unblocked", "check"),
    ("followed", "post", "time", "blocked", "post", "unblocked", "check"),
    ("post", "suspended", "reinstated", "check"),
    ("opened", "followed", "post", "time", "suspended", "post", "reinstated", "check"),
    ("post", "taken_down", "restored", "check"),
    ("opened", "followed", "post", "time", "private", "time", "followers", "check"),
    ("opened", "post", "lapsed", "post", "opened", "check", "post", "check"),
    ("post", "lapsed", "opened", "lapsed", "opened", "time", "check"),
    ("thresholds", "followed", "warmed", "post", "cooled", "post", "warmed", "check"),
    ("rebuild", "lost", "check"),
)
"""What belongs together, of one reader and one author: chance alone would rarely bring it about."""

work = st.sampled_from([0, 0, 3, 10, 30, 100])
numbers = st.integers(0, 40)
sagas = st.builds(
    lambda saga, reader, author, rest: [
        (kind, reader, author, *one) for kind, one in zip(saga, rest, strict=False)
    ],
    st.sampled_from([*SAGAS, *SAGAS[:1] * 3]),
    users,
    users,
    st.lists(st.tuples(numbers, work), min_size=8, max_size=8),
)
singles = st.tuples(kinds, users, users, numbers, work).map(lambda one: [one])
histories = st.lists(sagas | singles, min_size=1, max_size=16).map(
    lambda found: [x for each in found for x in each]
)


@given(histories, st.integers(0, 2**32))
@settings(report_multiple_bugs=False)
def test_every_page_is_the_feed_of_the_model(history, seed):
    asyncio.run(live(history, seed))
