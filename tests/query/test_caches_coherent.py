"""Caches are coherent: whatever happens in whatever order, a page from memory is what the model says.

The histories of `test_one_feed` with edits and hides, and a process that answers from its caches, as the API
does: it follows `page.changes` from its end, keeps first pages, and is asked at any moment, so that loads begin
before a change and end after it. Once every event is acknowledged and its change was followed, nothing that is
served is older than the event: neither a post, nor its text, nor what hides it.
"""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.snowflake import time_ms
from pipeline.wire.records import ActivityEvent, PostEvent
from tests.domain.examples import at_least
from tests.engines.model import Model
from tests.stages.test_one_feed import USERS, numbers, users, work
from tests.stages.test_one_feed import World as OneFeed
from tests.stages.test_one_feed import kinds as others
from tests.stages.test_one_feed import sagas as old_sagas

LIMITS = (2, 2, 100)


class WithHides(Model):
    """A post that a reader hides is not in their feed."""

    def feed(self, reader):
        return [one for one in super().feed(reader) if not self._holds("hidden", reader, one[0])]

    def _activity(self, event):
        self._say(event["at"], event["type"] == "unhidden", "hidden", event["reader_id"], event["post_id"])


class World(OneFeed):
    """The stages, the model, and readers who ask the process with the caches."""

    def __init__(self, seed, **chances):
        super().__init__(seed, **chances)
        self.model, self.asking = WithHides(), set()

    async def do(self, kind, a, b, n):
        """What may happen besides; to somebody's newest posts."""
        post, author = self.posts[-1 - n % min(len(self.posts), 3)] if self.posts else (0, 0)
        now = max(self.at + 1, self.whole.now)
        match kind:
            case "asked":
                self.ask(a, LIMITS[n % 3])
            case "edited" if post:
                now = self.at = max(now, time_ms(post) + 1)  # an author's clock may be ahead, not go back
                visibility = ("public", "private", None)[n % 3]
                self.restored |= {post} if visibility == "public" else set()  # its rows come by and by
                more = {"body": f"{n} {now}"} | ({"visibility": visibility} if visibility else {})
                self.restored |= {post} if visibility == "public" else set()  # its rows come back by and by
                event = PostEvent("edited", post, author, now, **more)
                self.tell("posts", author, event, post_id=post, author_id=author, **more)
            case "hidden" | "unhidden" if post and author != a:
                self.at = now
                event = ActivityEvent(kind, a, now, author, post)
                self.tell("activity", a, event, reader_id=a, post_id=post)
                self.lost.add(a)  # the check waits for activity
            case _:
                await super().do(kind, a, b, n)

    def ask(self, reader, limit):
        """A session that goes on whenever the scheduler says so; what it shows is of no interest."""
        task = asyncio.ensure_future(self.whole.session(reader, limit, self.whole.cached_query))
        self.asking.add(task)
        task.add_done_callback(self.asking.discard)

    async def compare(self, exempt, *, racing=False):
        """The process with the caches shows what the model does; the second time it need not look."""
        for reader in USERS:
            for limit in self.random.choices(LIMITS, k=2):
                session = self.whole.session(reader, limit, self.whole.cached_query)
                items = await self.whole.meanwhile(session)
                found = [(item.post.post_id, item.post.body) for item in items]
                wanted = self.model.feed(reader)
                must = {one for one in wanted if one[0] not in exempt}
                assert found == sorted(set(found), reverse=True)
                assert not set(found) - set(wanted), f"{reader} is shown {set(found) - set(wanted)}"
                assert not must - set(found), f"{reader} misses {must - set(found)} at {self.whole.now}"


async def live(history, seed, **chances):
    """The history, with some work after each thing that happens."""
    world = World(seed, **chances)
    for kind, a, b, n, steps in history:
        await world.do(kind, a, b, n)
        await world.whole.work(steps)
    await world.end()


SAGAS = (
    ("followed", "post", "post", "edited", "check", "edited", "check"),
    ("opened", "followed", "post", "edited", "asked", "edited", "check"),
    ("followed", "post", "asked", "post", "asked", "post", "check"),
    ("followed", "post", "asked", "taken_down", "asked", "restored", "check"),
    ("followed", "post", "asked", "hidden", "check", "unhidden", "check"),
    ("followed", "post", "asked", "blocked", "asked", "unblocked", "check"),
    ("opened", "followed", "post", "time", "asked", "unfollowed", "asked", "followed"),
    ("opened", "followed", "post", "edited", "post", "check", "late", "check"),
    ("thresholds", "followed", "post", "asked", "thresholds", "post", "check"),
)
"""What a cache may miss, of one reader and one author."""

kinds = st.sampled_from([*["asked"] * 8, *["edited"] * 3, "hidden", "unhidden"]) | others
singles = st.tuples(kinds, users, users, numbers, work).map(lambda one: [one])
sagas = st.builds(
    lambda saga, reader, author, rest: [
        (kind, reader, author, *one) for kind, one in zip(saga, rest, strict=False)
    ],
    st.sampled_from(SAGAS),
    users,
    users,
    st.lists(st.tuples(numbers, work), min_size=8, max_size=8),
)
histories = st.lists(sagas | sagas | old_sagas | singles, min_size=1, max_size=16).map(
    lambda found: [x for each in found for x in each]
)


@settings(at_least(400), report_multiple_bugs=False)
@given(histories, st.integers(0, 2**32))
def test_a_page_from_memory_is_the_feed_of_the_model(history, seed):
    asyncio.run(live(history, seed))
