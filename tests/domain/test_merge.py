"""Many sources, one order: nothing twice, nothing skipped, nothing read that the page cannot need."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.merge import EXHAUSTED, Candidate, Row, Source, frontier, merge, next_reads
from tests.domain.examples import at_least

ABOVE = 61
"""Above every post."""

post_sets = st.sets(st.integers(1, 60), max_size=25)
feeds = st.lists(st.tuples(post_sets, st.integers(0, 10)), min_size=1, max_size=6)
"""Each source: its posts, and how far above its newest post its first horizon is (it may not be known)."""


class Reader:
    """Reads pages as the query agent does: sources anew for each page, `depth` rows a read."""

    def __init__(self, feeds, depth, most):
        self.feeds, self.depth, self.most = [(sorted(posts), slack) for posts, slack in feeds], depth, most
        self.needless = []

    def sources(self, below):
        found = []
        for number, (posts, slack) in enumerate(self.feeds):
            newest = max((post for post in posts if post < below), default=0) + 1
            found.append(Source(f"path{number}", number, 0, min(newest + slack, below)))
        return found

    def page(self, below, limit):
        sources = self.sources(below)
        while True:
            ready = merge(sources, below)
            if len(ready) >= limit or frontier(sources) == EXHAUSTED:
                return ready[:limit]
            known = {item.post_id for source in sources for item in source.items}
            reads = next_reads(sources, below, limit, self.most)
            assert reads, "stuck"
            for source in reads:
                above = [post for post in known if post >= source.horizon]
                self.needless += [source.path] if len(above) >= limit else []
                rows = [post for post in self.feeds[source.author_id][0] if post < source.horizon]
                rows = [Row(post, source.author_id) for post in rows[::-1][: self.depth]]
                sources[source.author_id] = source.extended(rows, self.depth)

    def session(self, limit):
        pages, below = [], ABOVE
        while page := self.page(below, limit):
            pages.append(page)
            below = page[-1].post_id
        return pages


sessions = st.builds(Reader, feeds, st.integers(1, 8), st.sampled_from([1, 2, 64]))
limits = st.integers(1, 12)


@at_least(500)
@given(sessions, limits)
def test_pages_are_the_sorted_union_without_repeat_or_skip(reader, limit):
    """Whatever the horizons, however few rows a read brings: every page but the last is full."""
    pages = reader.session(limit)

    found = [item.post_id for page in pages for item in page]
    assert found == sorted({post for posts, _ in reader.feeds for post in posts}, reverse=True)
    assert all(len(page) == limit for page in pages[:-1])


@at_least(500)
@given(sessions, limits)
def test_a_post_carries_every_path_it_is_on(reader, limit):
    """Provenance is complete, although the paths were read to different depths."""
    for page in reader.session(limit):
        for item in page:
            on = {f"path{n}" for n, (posts, _) in enumerate(reader.feeds) if item.post_id in posts}
            assert item.paths == on


@at_least(500)
@given(sessions, limits)
def test_a_source_below_the_page_is_never_read(reader, limit):
    """Not one read of a source while a page's worth of posts is known at or above its horizon (R2)."""
    reader.session(limit)

    assert not reader.needless


@given(feeds, limits)
def test_read_one_at_a_time_a_page_reads_no_source_that_ends_up_below_it(feeds, limit):
    """A followee whose newest post is older than the whole page costs nothing."""
    reader = Reader(feeds, depth=4, most=1)
    sources = {}
    reader.sources = lambda below: sources.setdefault("page", Reader.sources(reader, below))
    before = [source.horizon for source in reader.sources(ABOVE)]

    page = reader.page(ABOVE, limit)

    for source, newest in zip(sources["page"], before, strict=True):
        assert len(page) < limit or newest > page[-1].post_id or source.horizon == newest


def source(horizon, *posts, path="push"):
    return Source(path, 1, 0, horizon, [Row(post, 1) for post in posts])


@pytest.mark.parametrize(("rows", "horizon"), [(0, 0), (1, 0), (2, 0), (3, 8)])
def test_a_source_that_gives_fewer_rows_than_asked_is_exhausted(rows, horizon):
    """Asked for three: with three there may be more below the last one."""
    found = source(11).extended([Row(post, 1) for post in (10, 9, 8)][:rows], 3)

    assert found.horizon == horizon


@pytest.mark.parametrize(("horizon", "ready"), [(4, [9, 5, 4]), (5, [9, 5]), (6, [9])])
def test_nothing_below_a_horizon_is_shown(horizon, ready):
    """
    ::

        timeline   9 . . . 5 4 | exhausted
        author     unread, its newest id below the horizon: at 5 the post 5 is safe, at 6 it is not
    """
    sources = [source(0, 9, 5, 4), source(horizon)]

    assert [one.post_id for one in merge(sources, 10)] == ready


@pytest.mark.parametrize(("below", "ready"), [(8, [7]), (9, [8, 7]), (10, [9, 8, 7])])
def test_a_page_goes_on_strictly_below_its_boundary(below, ready):
    """The post at the boundary was on the page before."""
    assert [one.post_id for one in merge([source(0, 9, 8, 7)], below)] == ready


def test_two_paths_of_a_post_are_one_candidate_with_its_hints():
    """The pulled copy has none in this case, whichever comes first."""
    pushed, pulled = source(0)._replace(items=[Row(9, 1, 77)]), source(0, 9, path="pull")

    for order in ([pushed, pulled], [pulled, pushed]):
        assert merge(order, 10) == [Candidate(9, 1, 77, frozenset({"push", "pull"}))]


def test_the_sources_with_the_highest_horizon_are_read_first():
    """They hold the page back; exhausted ones are never read again."""
    low, high, done, middle = source(3), source(9), source(EXHAUSTED), source(5)

    assert next_reads([low, high, done, middle], 10, 20, most=2) == [high, middle]


@pytest.mark.parametrize(("wanted", "reads"), [(1, [9]), (2, [9, 6]), (3, [9, 6, 3])])
def test_a_source_waits_while_the_page_may_end_above_it(wanted, reads):
    """
    ::

        known      8 5         a page of one ends at 8 or above, of two at 5 or above
        horizons  9   6  3
    """
    sources = [source(9), source(6), source(3, 8, 5)]

    assert [one.horizon for one in next_reads(sources, 10, wanted, most=64)] == reads


def test_no_source_holds_nothing_back():
    """A reader who follows nobody has an empty feed, not an error."""
    assert frontier([]) == EXHAUSTED
    assert merge([], 10) == []


@given(feeds, limits)
def test_the_newest_few_are_the_head_of_all(feeds, limit):
    """Wanted alone, they cost less."""
    sources = [
        Source(f"path{n}", n, 0, EXHAUSTED, [Row(post, n) for post in sorted(posts, reverse=True)])
        for n, (posts, _) in enumerate(feeds)
    ]

    assert merge(sources, ABOVE, limit) == merge(sources, ABOVE)[:limit]


def test_a_source_that_is_given_up_holds_nothing_back():
    """What it had shown stays; that it is not all is remembered."""
    slow, done = source(9, 9, path="pull").given_up(), source(0, 8, 7)

    assert [one.post_id for one in merge([slow, done], 10)] == [9, 8, 7]
    assert (slow.lost, done.lost) == (True, False)
