"""Ten thousand sessions while the data moves: nothing twice and nothing skipped, in either mode.

Between two pages people post, edit, delete, follow, unfollow, block, mute, hide and engage, operators suspend
and take down, authors change class, timelines are lost and written again, and time goes on past the window.
Stages, caches and their topics are those of `whole`; what must be shown is what the model has shown at every
page of the session. `TIDELINE_SESSIONS=10000` runs them all; by default it is a tenth. `pytest -s` shows counts.
A failure names its world; `TIDELINE_SESSIONS_FROM` is the number of the first one.
"""

import asyncio
import os
import random
from collections import Counter

import pytest

from pipeline.domain.snowflake import first_id
from tests.query.test_caches_coherent import World
from tests.stages.whole import WINDOW

SESSIONS = int(os.environ.get("TIDELINE_SESSIONS", "1000"))
FROM = int(os.environ.get("TIDELINE_SESSIONS_FROM", "0"))
EACH = 25
"""Sessions of one world: long enough to outlive a window, short enough to begin with many graphs."""

USERS = range(1, 7)
KINDS = (
    *["post"] * 12,
    *["followed"] * 5,
    *["unfollowed", "edited", "edited", "deleted", "late", "imported", "engaged", "opened", "thresholds"],
    *["blocked", "unblocked", "muted", "unmuted", "suspended", "reinstated", "taken_down", "restored"],
    *["hidden", "unhidden", "warmed", "cooled", "lapsed", "opened", "rebuild", "lost", "time", "time"],
)


class Sessions:
    """A world, and the sessions of those who read it."""

    def __init__(self, seed, counts):
        self.world, self.random, self.counts = World(seed, crashes=0.005), random.Random(seed), counts
        self.whole = self.world.whole

    async def happens(self, most):
        """Some things, and all stages work them off."""
        for _ in range(self.random.randint(0, most)):
            kind, (a, b) = self.random.choice(KINDS), self.random.sample(USERS, 2)
            self.counts["events"] += 1
            await self.world.do(kind, a, b, self.random.randint(0, 40))
        await self.whole.drain(self.whole.topics)
        self.whole.follow()

    def visible(self, reader):
        """What the reader must see now."""
        return {post for post, _ in self.world.model.feed(reader)}

    async def one(self, mode, cached):
        """One session to its end."""
        reader, limit = self.random.choice(USERS), self.random.randint(1, 6)
        query = self.whole.cached_query if cached else self.whole.slow_query
        always = self.visible(reader)
        found, token = [], None
        while True:
            page = await self.whole.meanwhile(
                query.page(self.whole.request(reader, limit, token, None if token else mode))
            )
            found += [item.post.post_id for item in page.items]
            assert not set(found[-len(page.items) :] if page.items else ()) - self.visible(reader)
            self.counts["pages"] += 1
            token = page.next_cursor
            if token is None:
                break
            assert len(found) < 5_000
            await self.happens(2)
            always = always & self.visible(reader)
        self.counts["sessions"] += 1
        self.counts["posts shown"] += len(found)
        self.counts["repeats"] += len(found) - len(set(found))
        self.counts["older than the window"] += sum(
            post < first_id(self.whole.now - WINDOW) for post in found
        )
        if mode == "ranked":  # what a clock ahead of ours has made is of a later session
            always = {post for post in always if post < first_id(page.as_of + 1)}
        self.counts["must be shown"] += len(always)
        self.counts["skips"] += len(always - set(found))
        self.counts["out of order"] += mode == "latest" and found != sorted(found, reverse=True)


@pytest.mark.parametrize("mode", ["latest", "ranked"])
@pytest.mark.parametrize("cached", [False, True], ids=["tables", "caches"])
def test_no_session_repeats_or_skips(mode, cached):
    """By mode, with and without caches: a quarter of the sessions each."""
    counts = Counter()

    async def run(seed):
        sessions = Sessions(seed, counts)
        for kind in ("followed", "post", "opened"):
            for user in USERS:
                await sessions.world.do(kind, user, sessions.random.choice(USERS), 3)
        await sessions.happens(40)
        for _ in range(EACH):
            await sessions.one(mode, cached)
            await sessions.happens(4)

    for seed in range(FROM, FROM + SESSIONS // 4 // EACH):
        asyncio.run(run(seed))
        faults = {name: counts[name] for name in ("repeats", "skips", "out of order")}
        assert not any(faults.values()), f"world {seed}: {faults}"

    print(f"\n{mode}, {'caches' if cached else 'tables'}: {dict(sorted(counts.items()))}")
    assert counts["sessions"] >= SESSIONS // 4 // EACH * EACH > 0
