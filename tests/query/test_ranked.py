"""Ranked sessions against a naive oracle: all posts, their features, the formula, and the best that is left.

What the oracle knows of the pipeline is in the words of `ranked`: a round is the newest so many posts, inside
the window or below it; of those so many are ranked; every further post of an author costs its share.
"""

import asyncio
import math
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import hints
from pipeline.domain.engagement import hour_of, sketch
from pipeline.domain.order import Version
from pipeline.domain.page_request import parse
from pipeline.domain.ranking import Weighted
from pipeline.domain.snowflake import time_ms
from pipeline.query.ranked import Ranking
from pipeline.store.values import CounterWindow, Engaged, Hide, Placed, Push, TimelineEntry
from pipeline.wire.records import AuthorClass, PostEvent
from tests.domain.examples import at_least
from tests.query.cores import KEYS, WEIGHTS, core
from tests.query.feeds import AS_OF, READER, SHAPE, T0, WINDOW, Author, World, at, author_list, ids, times

HALF_S, HOUR_MS = 0.1, 3_600_000
ALL = 2_000


def prior_of(post):
    return (post % 5) / 5


@dataclass
class Known:
    """What ranking knows besides the posts: by author, by post, and the posts the reader has hidden."""

    affinity: dict[int, int] = field(default_factory=dict)
    engaged: dict[int, int] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)


class Ranked(World):
    """A world whose sessions are ranked. `known` by author and ms, as posts have no ids yet."""

    def __init__(self, authors=(), own=(), known=None, *, diversity=0.5, ranker=None, widths=(ALL, 300, 100)):
        self.known, self.diversity, self.widths = known or Known(), diversity, widths
        candidates, pruned, frontier = widths
        model = ranker or Weighted(WEIGHTS, HALF_S)
        self.how = Ranking(model, candidates, pruned, frontier, diversity, 24 * HOUR_MS)
        super().__init__(authors, own)
        self.kafka.clock.now = T0 + WINDOW  # so that every hide is loaded with the reader

    def query_on(self, stores):
        return core(stores, kafka=self.kafka, ranking=self.how, **SHAPE)

    async def publish(self, author_id, posts):
        await super().publish(author_id, posts)
        for post in (at(ms, author_id) for ms in posts):
            event = PostEvent("published", post, author_id, time_ms(post), visibility="public", body="")
            found = (await self.stores.posts.posts([post]))[post]
            again = replace(event, visibility=found.visibility, body=found.body)
            await self.stores.posts.put_posts(
                [Placed(again, 1)], {post: hints.pack(author_prior=prior_of(post), quality=0)}
            )

    async def row(self, author, ms):
        post = author.id_of(ms)
        packed = hints.pack(author_prior=prior_of(post), quality=0)
        entry = TimelineEntry(post, author.author_id, packed, (T0 + ms) * 1000, 1_000)
        await self.stores.timelines.push([Push([READER], [entry])])

    async def settle(self):
        await super().settle()
        readers, hour = self.stores.readers, hour_of(T0 + AS_OF)
        await readers.put_engagements(
            [(READER, author, T0 - n) for author, count in self.known.affinity.items() for n in range(count)]
        )
        await self.stores.counters.put_sketches(
            [
                Engaged(CounterWindow(p, hour, 0), sketch(range(n)), 1_000)
                for p, n in self.known.engaged.items()
            ]
        )
        for post in self.known.hidden:
            await self.hide(post)

    async def hide(self, post):
        """The reader does not want to see this post."""
        author = self.author_of(post)
        await self.stores.readers.put_hidden([Hide(READER, author, post, True, Version(T0, 0))])

    def author_of(self, post):
        """Ids end with the author's."""
        return post & 0xFFFF

    async def page(self, limit, token=None):
        request = parse(
            reader_id=str(READER),
            limit=str(limit),
            cursor=token,
            mode=None if token else "ranked",
            explain="0",
            now_ms=T0 + AS_OF,
            cursor_keys=KEYS,
        )
        return await self.query.page(request)

    def oracle(self):
        """The whole session."""
        candidates, pruned, _ = self.widths
        every = [at(ms, READER) for ms in self.own]
        every += [
            author.id_of(ms)
            for author in self.authors
            if not author.fact
            for ms in author.posts
            if ms <= AS_OF and self._is_candidate(author, ms)
        ]
        visible, start = set(self.shown()) - self.known.hidden, at(AS_OF - WINDOW)
        found = []
        for part in ([p for p in every if p >= start], [p for p in every if p < start]):
            newest = sorted(part, reverse=True)
            for first in range(0, len(newest), candidates):
                left = [p for p in newest[first : first + candidates] if p not in self.known.hidden]
                best = self._greedy(left, {})[:pruned] if len(left) > pruned else left
                found += [p for p in self._greedy(best, self.known.engaged) if p in visible]
        return found

    def _is_candidate(self, author, ms):
        """Not a post of which the index says that nobody may see it, unless a row in the window has it still."""
        row = author.rows_kept or (author.owed(ms) and self.owed(ms))
        return author.posts[ms] not in ("private", "deleted") or (row and ms >= AS_OF - WINDOW)

    def _greedy(self, left, engaged):
        order, above, left = [], {}, list(left)
        while left:
            best = max(
                left,
                key=lambda p: (
                    self._score(p, engaged) - self.diversity * above.get(self.author_of(p), 0),
                    p,
                ),
            )
            left.remove(best)
            order.append(best)
            above[self.author_of(best)] = above.get(self.author_of(best), 0) + 1
        return order

    def _score(self, post, engaged):
        author = self.author_of(post)
        age_s = max(T0 + AS_OF - time_ms(post), 0) / 1000
        hides = sum(self.author_of(one) == author for one in self.known.hidden)
        return math.fsum(
            [
                -math.log2(1 + age_s / HALF_S),
                math.log2(1 + self.known.affinity.get(author, 0)),
                round(prior_of(post) * 65_535) / 65_535,
                math.log2(1 + engaged.get(post, 0)),
                -2 * math.log2(1 + hides),
            ]
        )


@st.composite
def ranked_worlds(draw):
    """Rounds are counted in posts that may be shown and in those that may not, so small ones hide nobody."""
    authors = draw(author_list)
    candidates = draw(st.sampled_from([3, 7, ALL, ALL]))
    if candidates < ALL:
        authors = [replace(author, fact="") for author in authors]
    own = draw(st.sets(times, max_size=5))
    posts = [a.id_of(ms) for a in authors for ms in a.posts]
    some = st.sets(st.sampled_from(posts), max_size=3) if posts else st.just(set())
    known = Known(
        {a.author_id: draw(st.integers(0, 3)) for a in authors},
        {post: draw(st.integers(1, 9)) for post in draw(some)},
        draw(some),
    )
    widths = (candidates, draw(st.sampled_from([2, 5, 300])), 100)
    return Ranked(authors, own, known, diversity=draw(st.sampled_from([0.0, 0.5, 2.0])), widths=widths)


@at_least(300)
@given(ranked_worlds(), st.integers(1, 9))
def test_a_session_is_that_of_the_oracle(world, limit):
    """To its end, whatever the rounds, the prune and the size of pages; and parts add up to scores."""

    async def run():
        await world.settle()
        return await world.session(limit)

    pages = asyncio.run(run())

    assert ids(pages) == world.oracle()
    assert all(
        item.score == pytest.approx(math.fsum(item.parts.values())) for page in pages for item in page.items
    )


async def test_a_round_that_can_be_read():
    """
    ::

        author 10  0.1 s old, one half-life: log2(2); another of 0.15 s; three engagements: log2(4)
        author 15  now
        author 20  now, and the reader has hidden another post of theirs: 2 log2(2)
    """
    near, new = Author(10, {AS_OF - 100: "", AS_OF - 150: ""}), Author(15, {AS_OF: ""})
    disliked = Author(20, {AS_OF: "", AS_OF - 1: ""})
    known = Known({10: 3}, {}, {disliked.id_of(AS_OF - 1)})
    world = Ranked([near, new, disliked], known=known)
    await world.settle()

    page = await world.page(10)

    told = [
        (item.post.author_id, {name: round(part, 2) for name, part in item.parts.items() if part})
        for item in page.items
    ]
    assert told == [
        (10, {"age": -1.0, "affinity": 2.0}),
        (10, {"age": -1.32, "affinity": 2.0, "diversity": -0.5}),
        (15, {}),
        (20, {"negative": -2.0}),
    ]


@pytest.mark.parametrize(("frontier", "authors"), [(1, {12}), (2, {11, 12}), (3, {10, 11, 12})])
async def test_the_closest_authors_are_read(frontier, authors):
    """Three who are pulled; the reader engages with 12 most, with 11 sometimes."""
    pulled = [Author(10 + n, {100 + n: ""}, [(60, AuthorClass.PULL)], rows_kept=False) for n in range(3)]
    world = Ranked(pulled, known=Known({11: 1, 12: 2}), widths=(ALL, 300, frontier))
    await world.settle()

    page = await world.page(10)

    assert {item.post.author_id for item in page.items} == authors


async def test_a_round_ends_with_what_was_considered():
    """The best of four of the newest four, then of the other two: an old favourite waits for its round."""
    world = Ranked(
        [Author(11, dict.fromkeys(range(200, 205), "")), Author(10, {190: ""})],
        known=Known({10: 1_000}),
        widths=(4, 300, 100),
    )
    await world.settle()

    pages = await world.session(3)

    shown = [int(item.post.body) for page in pages for item in page.items]
    assert (set(shown[:4]), shown[4:]) == ({201, 202, 203, 204}, [190, 200])
    assert [len(page.items) for page in pages] == [3, 1, 2, 0]


class Broken:
    """A model that fails."""

    def score(self, candidates):
        raise ZeroDivisionError


async def test_a_model_that_fails_leaves_the_order_of_time():
    world = Ranked([Author(10, dict.fromkeys(range(200, 205), ""))], own=[210, 190], ranker=Broken())
    await world.settle()

    pages = await world.session(3)

    assert ids(pages) == world.shown()
    assert all(list(page.degraded) == ["ranking"] for page in pages if page.items)


async def test_what_the_reader_dislikes_is_gone_from_the_next_page():
    """A post they hide, and an author they mute; what is left of the hidden post's author comes last."""
    world = Ranked(
        [Author(10, {200: "", 201: "", 202: ""}), Author(11, {199: "", 198: ""}), Author(12, {250: ""})]
    )
    await world.settle()
    first = await world.page(1)
    await world.hide(at(202, 10))
    await world.stores.readers.relate(READER, 11, "mute", True, Version(T0, 0))

    rest = await world.page(10, first.next_cursor)

    assert ids([first]) == [at(250, 12)]
    assert ids([rest]) == [at(201, 10), at(200, 10)]
    assert all(item.parts["negative"] == -2.0 for item in rest.items)


async def test_what_is_posted_after_the_first_page_is_of_the_next_session():
    author = Author(10, {200: "", 201: "", 202: ""})
    world = Ranked([author], own=[203])
    await world.settle()
    before = world.shown()

    async def between(n):
        await world.add(author, {AS_OF + n: ""})
        await world.publish(READER, {AS_OF + n: ""})

    pages = await world.session(1, between)

    assert sorted(ids(pages), reverse=True) == before


@pytest.mark.parametrize("own", [[], [10, 20]])
async def test_who_follows_nobody_has_their_own_on_one_page(own):
    """Also what is older than the window; and no cursor to an empty page."""
    world = Ranked(own=own)
    await world.settle()

    page = await world.page(5)

    assert sorted(ids([page]), reverse=True) == world.shown()
    assert page.next_cursor is None
