"""Coverage, the property of the product: what is not pushed is pulled, in any history.

The oracle below knows only the docstring of `pipeline.domain.coverage`. It looks at single posts, next to
every change and every margin, and never at ranges.

Seen to fail here: no margin at an entry, on one side only, twice as wide, half as wide; `covered_from` not
asked, without its margin, with two; `>` for `>=` at `warm_since` and in the search for the entry; a cold edge
taken for a warm one, a partial author for a push one; warmth relied upon at once, or doubted beyond its span;
the window's start not clipped; ranges that touch left apart, the wider of two lost; the last span left out;
pruning one entry too many, or one too few.
"""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.coverage import EdgeCover, pull_ranges, pushed, union
from pipeline.domain.routing import class_of, collapse, prune
from pipeline.wire.records import AuthorClass, RouteEntry
from tests.domain.examples import at_least

MS = 4_194_304
"""Ids in a millisecond."""

LAST = 1_400 * MS
"""Things happen in 400 ms, far from both ends of the ids there are."""

NOT_COVERED = 2**63 - 1

ids = st.builds(lambda ms, low: ms * MS + low, st.integers(1_000, 1_400), st.sampled_from([0, 1, MS - 1]))
margins = st.integers(1, 60)


@st.composite
def histories(draw):
    """An author's classes in order of time: they may also repeat, as nothing forbids it."""
    starts = sorted(draw(st.sets(ids, max_size=6)))
    return tuple(RouteEntry(start, draw(st.sampled_from(AuthorClass)), "") for start in starts)


edges = st.builds(
    EdgeCover,
    covered_from=ids | st.sampled_from([0, NOT_COVERED]),
    warm_since=st.none() | ids,
)


class Oracle:
    """What the docstring says of one author, one edge and one window."""

    def __init__(self, entries, edge, window_start, margin_ms):
        self.entries, self.edge = entries, edge
        self.window_start, self.margin = window_start, margin_ms * MS
        self.changes = [entry.since_post_id for entry in entries]
        self.changes += [edge.warm_since] * (edge.warm_since is not None)

    def author_class(self, post):
        """Plain push, until an entry says otherwise."""
        found = AuthorClass.PUSH
        for entry in self.entries:
            if entry.since_post_id <= post:
                found = entry.author_class
        return found

    def pushed(self, post):
        """Push to all, pull for all, partial to warm edges."""
        warm = self.edge.warm_since is not None and self.edge.warm_since <= post
        return {"push": True, "partial": warm, "pull": False}[self.author_class(post)]

    def near(self, post):
        """The posts at and around `post` where something may begin or end, up to a margin away."""
        places = [place + step for place in self.changes for step in (-1, 0)] + [post]
        return [place for place in places if abs(place - post) <= self.margin and place >= 0]

    def must_pull(self, post):
        """Not covered, not pushed, less than a margin after the bound, or within one of a post not pushed."""
        fresh = self.edge.warm_since is not None and post < self.edge.warm_since + self.margin
        return (
            post < self.edge.covered_from + self.margin
            or any(not self.pushed(place) for place in self.near(post))
            or (self.author_class(post) == "partial" and fresh)
        )

    def may_pull(self, post):
        """The same, or within a margin of any change."""
        return self.must_pull(post) or any(abs(post - change) <= self.margin for change in self.changes)

    def posts(self):
        """Posts of the window next to each change, to each end of its margins, and to the window's start."""
        changes = [*self.changes, self.window_start, min(self.edge.covered_from, LAST)]
        far = [change + shift for change in changes for shift in (-self.margin, 0, self.margin)]
        return sorted(
            {post for place in far for post in (place - 1, place, place + 1) if post >= self.window_start}
        )


def pulled(ranges, post):
    return any(lo <= post < hi for lo, hi in ranges)


@at_least(2_000)
@given(histories(), edges, ids, margins)
def test_every_post_of_the_window_is_pushed_or_pulled(entries, edge, window_start, margin_ms):
    """Pushed and at or after the bound, or inside a pull range: nothing falls between the two paths."""
    ranges = pull_ranges(entries, edge, window_start, margin_ms=margin_ms)

    for post in Oracle(entries, edge, window_start, margin_ms).posts():
        reached = pushed(post, class_of(post, entries), edge) and post >= edge.covered_from
        assert reached or pulled(ranges, post), post


@at_least(2_000)
@given(histories(), edges, ids, margins)
def test_around_each_change_both_paths_have_the_post(entries, edge, window_start, margin_ms):
    """Whatever lies less than a margin from a post that is not pushed is pulled as well."""
    oracle = Oracle(entries, edge, window_start, margin_ms)
    ranges = pull_ranges(entries, edge, window_start, margin_ms=margin_ms)

    for post in oracle.posts():
        assert pulled(ranges, post) or not oracle.must_pull(post), post


@at_least(2_000)
@given(histories(), edges, ids, margins)
def test_nothing_is_pulled_that_no_margin_justifies(entries, edge, window_start, margin_ms):
    """A mostly pushed author is not read outside the margins: pulls are what reads pay for."""
    oracle = Oracle(entries, edge, window_start, margin_ms)
    ranges = pull_ranges(entries, edge, window_start, margin_ms=margin_ms)

    for post in oracle.posts():
        assert not pulled(ranges, post) or oracle.may_pull(post), post


@at_least(500)
@given(histories(), edges, ids, margins)
def test_ranges_are_disjoint_and_ordered_inside_the_window(entries, edge, window_start, margin_ms):
    """Each is a source of its own: touching ones are one, none is empty, none begins before the window."""
    ranges = pull_ranges(entries, edge, window_start, margin_ms=margin_ms)

    bounds = [bound for one in ranges for bound in one]
    assert bounds == sorted(set(bounds))
    assert all(bound >= window_start for bound in bounds)


@at_least(500)
@given(histories(), edges, ids, margins)
def test_a_writer_decides_by_class_and_warmth(entries, edge, window_start, margin_ms):
    """Push to all, pull for all, partial to warm edges; the bound is the reader's business."""
    oracle = Oracle(entries, edge, window_start, margin_ms)

    for post in oracle.posts():
        assert pushed(post, class_of(post, entries), edge) == oracle.pushed(post), post


@at_least(500)
@given(histories(), edges, ids, margins)
def test_pruning_loses_no_post_of_the_window(entries, edge, window_start, margin_ms):
    """A reader who knows only what pruning kept still gets every post, as it was pushed by the full history."""
    oracle = Oracle(entries, edge, window_start, margin_ms)
    ranges = pull_ranges(prune(entries, window_start), edge, window_start, margin_ms=margin_ms)

    for post in oracle.posts():
        assert (oracle.pushed(post) and post >= edge.covered_from) or pulled(ranges, post), post


@at_least(1_000)
@given(histories(), edges, ids, margins, st.integers(2, 5))
def test_collapsing_loses_no_post_of_the_window(entries, edge, window_start, margin_ms, most):
    """What the full history pushed is in the rows or is pulled; and around each change that is left, both."""
    oracle = Oracle(entries, edge, window_start, margin_ms)
    collapsed = collapse(entries, most)
    ranges = pull_ranges(collapsed, edge, window_start, margin_ms=margin_ms)

    assert len(collapsed) <= most
    for post in oracle.posts():
        assert (oracle.pushed(post) and post >= edge.covered_from) or pulled(ranges, post), post
        late = pushed(post, class_of(post, collapsed), edge) and post >= edge.covered_from
        assert late or pulled(ranges, post), post
    again = Oracle(collapsed, edge, window_start, margin_ms)
    for post in again.posts():
        assert pulled(ranges, post) or not again.must_pull(post), post


def at(*ms):
    """Ids of these milliseconds, as a range."""
    return tuple(one * MS for one in ms)


def entry(ms, author_class):
    return RouteEntry(ms * MS, AuthorClass(author_class), "")


@pytest.mark.parametrize(
    ("covered_ms", "ranges"),
    [(1_089, []), (1_090, []), (1_091, [at(1_100, 1_101)]), (1_100, [at(1_100, 1_110)])],
)
def test_a_plain_push_edge_covered_before_the_window_pulls_nothing(covered_ms, ranges):
    """
    ::

        window                 ├──────────────────────▶
        covered_from  1089 ▲   1100
        + margin of 10    ▲ 1099: nothing to pull; from 1091 on the first ms of the window is
    """
    edge = EdgeCover(covered_ms * MS)

    assert pull_ranges((), edge, 1_100 * MS, margin_ms=10) == ranges


def test_an_edge_not_covered_pulls_the_whole_window():
    """Until the push side is known to hold the edge, everything is pulled."""
    assert pull_ranges((), EdgeCover(NOT_COVERED), 1_100 * MS, margin_ms=10) == [(1_100 * MS, 2**63 - 1)]


def test_a_spell_of_pull_is_pulled_with_a_margin_on_both_sides():
    """
    ::

        class     push       1200 pull 1300       push
        pulled          ├─────────────────────┤
                      1190                   1310
    """
    entries = (entry(1_200, "pull"), entry(1_300, "push"))

    assert pull_ranges(entries, EdgeCover(0), 1_100 * MS, margin_ms=10) == [at(1_190, 1_310)]


def test_a_warm_edge_of_a_partial_author_pulls_until_it_was_warm():
    """
    ::

        class     push       1200 partial
        edge                 cold     1250 warm
        pulled          ├──────────────────┤
                      1190               1260
    """
    edge = EdgeCover(0, warm_since=1_250 * MS)

    assert pull_ranges((entry(1_200, "partial"),), edge, 1_100 * MS, margin_ms=10) == [at(1_190, 1_260)]


def test_warmth_just_before_an_author_turns_partial_is_not_relied_upon_at_once():
    """
    ::

        class     push       1200 partial
        edge           1195 warm
        pulled               ├────┤            a writer may not know yet that the edge is warm
                           1200  1205
    """
    edge = EdgeCover(0, warm_since=1_195 * MS)

    assert pull_ranges((entry(1_200, "partial"),), edge, 1_100 * MS, margin_ms=10) == [at(1_200, 1_205)]


def test_a_cold_edge_pulls_the_authors_whole_partial_spell():
    """No history of warmth is kept, and none is needed."""
    entries = (entry(1_200, "partial"), entry(1_300, "push"))

    assert pull_ranges(entries, EdgeCover(0), 1_100 * MS, margin_ms=10) == [at(1_190, 1_310)]


def test_ranges_that_meet_are_read_once():
    """
    ::

        covered_from + margin ┤1190        the margin before the pull begins at 1190: one range
        class     push       1200 pull ▶
    """
    ranges = pull_ranges((entry(1_200, "pull"),), EdgeCover(1_180 * MS), 1_100 * MS, margin_ms=10)

    assert ranges == [(1_100 * MS, 2**63 - 1)]


spots = st.integers(0, 30)
some_ranges = st.lists(st.tuples(spots, spots), max_size=6)


@given(some_ranges)
def test_a_union_holds_the_same_ids(ranges):
    """As disjoint ranges in order; empty and inverted ones hold nothing."""
    wanted = {one for lo, hi in ranges for one in range(lo, hi)}

    found = union(ranges)

    assert [one for lo, hi in found for one in range(lo, hi)] == sorted(wanted)
    assert all(a_hi < b_lo for (_, a_hi), (b_lo, _) in itertools.pairwise(found))
