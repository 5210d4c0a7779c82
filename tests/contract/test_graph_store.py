"""GraphStore: edges are last-writer-wins registers, a segment changes only under its count."""

from dataclasses import replace
from itertools import permutations

import pytest

from pipeline.domain.snowflake import first_id
from pipeline.store.values import (
    NOT_COVERED,
    AuthorGraph,
    Edge,
    FirstFollowers,
    Followers,
    SegmentChange,
)

T0 = 1_700_000_000_000

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_author_nobody_followed_has_no_followers(stores, fresh):
    author = fresh()

    assert await stores.graph.author_graphs([author]) == {author: AuthorGraph(author, 0, 0)}


async def test_the_last_follower_count_and_the_most_segments_of_an_author_are_kept(stores, fresh):
    author = fresh()

    await stores.graph.put_author_graphs([AuthorGraph(author, 5, 1), AuthorGraph(author + 1, 9, 2)])
    await stores.graph.put_author_graphs([AuthorGraph(author, 6, 2), AuthorGraph(author, 4, 1)])

    assert await stores.graph.author_graphs([author, author + 1]) == {
        author: AuthorGraph(author, 4, 2),
        author + 1: AuthorGraph(author + 1, 9, 2),
    }


async def test_more_authors_than_fit_into_one_query(stores, fresh):
    authors = range(first := fresh(), first + 250)

    await stores.graph.put_author_graphs([AuthorGraph(author, author - first, 1) for author in authors])

    graphs = await stores.graph.author_graphs(authors)
    assert [graphs[author].followers for author in authors] == list(range(250))


async def test_a_change_applies_edges_and_count_together(stores, fresh):
    author = fresh()

    assert await stores.graph.change_segment(SegmentChange(author, 0, None, add=(3, 1, 2)))
    assert await stores.graph.change_segment(SegmentChange(author, 0, 3, add=(7,), remove=(1, 2)))

    assert await stores.graph.followers(author, 0) == Followers((3, 7), {})
    assert await stores.graph.followers(author, 0, warm=True) == Followers((3, 7), {})
    assert await stores.graph.segment_lives(author, 1) == [2]


@pytest.mark.parametrize("stale", [None, 0, 2, 4])
async def test_a_stale_count_changes_nothing(stores, fresh, stale):
    author = fresh()
    await stores.graph.change_segment(SegmentChange(author, 0, None, add=(1, 2, 3)))

    assert not await stores.graph.change_segment(SegmentChange(author, 0, stale, add=(9,), remove=(1,)))

    assert (await stores.graph.followers(author, 0)).ids == (1, 2, 3)
    assert await stores.graph.segment_lives(author, 1) == [3]


async def test_a_change_sent_twice_is_applied_once(stores, fresh):
    change = SegmentChange(fresh(), 0, None, add=(1,))

    assert [await stores.graph.change_segment(change) for _ in "12"] == [True, False]

    assert await stores.graph.segment_lives(change.author_id, 1) == [1]


async def test_of_two_writers_that_saw_the_same_count_one_wins(stores, fresh):
    author = fresh()
    await stores.graph.change_segment(SegmentChange(author, 0, None, add=(1,)))

    first = await stores.graph.change_segment(SegmentChange(author, 0, 1, add=(2,)))
    second = await stores.graph.change_segment(SegmentChange(author, 0, 1, add=(3,)))

    assert (first, second) == (True, False)
    assert (await stores.graph.followers(author, 0)).ids == (1, 2)


async def test_a_segment_that_became_empty_is_not_one_that_never_was(stores, fresh):
    author = fresh()
    await stores.graph.change_segment(SegmentChange(author, 1, None, add=(1,)))
    await stores.graph.change_segment(SegmentChange(author, 1, 1, remove=(1,)))

    assert not await stores.graph.change_segment(SegmentChange(author, 1, None, add=(2,)))

    assert await stores.graph.segment_lives(author, 3) == [None, 0, None]
    assert await stores.graph.followers(author, 1) == Followers((), {})
    assert await stores.graph.followers(author, 1, warm=True) == Followers((), {})
    assert await stores.graph.followers(author, 2) == Followers((), {})


async def test_a_whole_segment_in_one_change(stores, fresh):
    author = fresh()

    assert await stores.graph.change_segment(SegmentChange(author, 0, None, add=tuple(range(1000))))
    full = await stores.graph.followers(author, 0)
    assert await stores.graph.change_segment(SegmentChange(author, 0, 1000, remove=tuple(range(999))))

    assert full.ids == tuple(range(1000))
    assert (await stores.graph.followers(author, 0)).ids == (999,)


async def test_lives_of_more_segments_than_fit_into_one_query(stores, fresh):
    author = fresh()
    for segment in (0, 99, 100, 249):
        await stores.graph.change_segment(SegmentChange(author, segment, None, add=(segment,)))

    lives = await stores.graph.segment_lives(author, 250)

    assert [segment for segment, live in enumerate(lives) if live == 1] == [0, 99, 100, 249]
    assert lives.count(None) == 246


async def test_members_are_those_asked_for_that_are_there(stores, fresh):
    author = fresh()
    await stores.graph.change_segment(SegmentChange(author, 0, None, add=tuple(range(300))))

    assert await stores.graph.members(author, 0, [0, 299, 300]) == {0, 299}
    assert await stores.graph.members(author, 0, range(250)) == set(range(250))
    assert await stores.graph.members(author, 0, []) == set()
    assert await stores.graph.members(author, 1, [0]) == set()


def versions(reader: int, author: int) -> list[Edge]:
    """An edge's life, oldest first; the middle three at the same time."""
    return [
        Edge(reader, author, follows=False, at=T0 + 900, segment=0),
        Edge(reader, author, follows=True, at=T0 + 1000, segment=1),
        Edge(reader, author, follows=True, at=T0 + 1000, segment=1, covered_from=77, warm_since=88),
        Edge(reader, author, follows=False, at=T0 + 1000, segment=1),
        Edge(reader, author, follows=True, at=T0 + 1001, segment=2),
    ]


@pytest.mark.parametrize("newest", range(5))
async def test_the_newest_version_of_an_edge_wins_in_any_order(stores, fresh, newest):
    reader, author = fresh(), fresh()
    lives = [versions(reader + n, author)[: newest + 1] for n in range(120)]

    for life, order in zip(lives, permutations(range(newest + 1)), strict=False):
        for version in order * 2:
            await stores.graph.put_edges([life[version]])

    written = lives[: len(list(permutations(range(newest + 1))))]
    edges = await stores.graph.edges(author, [life[0].reader_id for life in written])
    assert list(edges.values()) == [life[newest] for life in written]


async def test_of_two_equal_versions_the_larger_bound_stays(stores, fresh):
    author = fresh()
    low = Edge(1, author, follows=True, at=T0 + 5, segment=3, covered_from=70)
    high = replace(low, covered_from=71, warm_since=4)

    await stores.graph.put_edges([low])
    await stores.graph.put_edges([high])
    await stores.graph.put_edges([replace(high, reader_id=2)])
    await stores.graph.put_edges([replace(low, reader_id=2)])

    assert await stores.graph.edges(author, [1, 2]) == {1: high, 2: replace(high, reader_id=2)}


async def test_an_edge_without_a_segment_keeps_it_on_a_tie(stores, fresh):
    nowhere = Edge(1, fresh(), follows=False, at=5, segment=-1)
    somewhere = replace(nowhere, segment=3)

    await stores.graph.put_edges([nowhere])
    await stores.graph.put_edges([somewhere])

    assert await stores.graph.edges(nowhere.author_id, [1]) == {1: nowhere}


async def test_edges_of_more_readers_than_fit_into_one_query(stores, fresh):
    author = fresh()
    written = [
        Edge(reader, author, True, T0 + 1000, reader % 3, covered_from=reader) for reader in range(250)
    ]

    await stores.graph.put_edges(written)

    assert await stores.graph.edges(author, range(300)) == {edge.reader_id: edge for edge in written}
    assert await stores.graph.edges(author, []) == {}


async def test_following_lists_who_is_followed_now(stores, fresh):
    reader = fresh()
    follow = Edge(reader, 1, follows=True, at=T0 + 1000, segment=4, covered_from=9)
    uncovered = Edge(reader, 3, follows=True, at=T0 + 1000, segment=0, covered_from=NOT_COVERED)

    await stores.graph.put_edges([uncovered, follow, Edge(reader, 2, follows=False, at=T0 + 1000, segment=0)])

    assert await stores.graph.following(reader) == [follow, uncovered]


async def test_following_lists_more_than_a_page_of_the_driver(stores, fresh):
    reader = fresh()
    follows = [Edge(reader, author, follows=True, at=T0 + 1000, segment=0) for author in range(5001)]

    await stores.graph.put_edges(follows)

    assert await stores.graph.following(reader) == follows


async def test_a_fulfilled_bound_is_kept_through_later_versions_of_the_edge(stores, fresh):
    """And a lower one never replaces it. Without an edge there is nothing to be seen of it."""
    author, reader = fresh(), fresh()
    edge = Edge(reader, author, follows=True, at=T0 + 5, segment=0, covered_from=first_id(T0))
    await stores.graph.put_edges([edge])

    for bound in (first_id(T0), first_id(T0 + 1), first_id(T0 - 1), first_id(T0) + 1):
        await stores.graph.put_caught_up(author, (reader, reader + 1), bound)
    await stores.graph.put_edges([replace(edge, at=T0 + 6, covered_from=first_id(T0 + 9))])

    newest = replace(edge, at=T0 + 6, covered_from=first_id(T0 + 9), caught_up=first_id(T0 + 1))
    assert await stores.graph.edges(author, [reader, reader + 1]) == {reader: newest}
    assert newest.bound == first_id(T0 + 9)
    assert await stores.graph.following(reader + 1) == []


async def test_an_edge_counts_as_covered_since_ever_from_its_own_bound_on(stores, fresh):
    """Limit − 1, limit and limit + 1 of what was fulfilled; an edge without a bound is never covered."""
    author, bound = fresh(), first_id(T0)
    readers = {1: bound - 1, 2: bound, 3: bound + 1}
    await stores.graph.put_edges([Edge(r, author, True, T0 + 5, 0, covered_from=bound) for r in readers])
    await stores.graph.put_edges([Edge(4, author, True, T0 + 5, 0, covered_from=NOT_COVERED)])

    for reader, fulfilled in readers.items():
        await stores.graph.put_caught_up(author, [reader], fulfilled)
    await stores.graph.put_caught_up(author, [4], NOT_COVERED)

    edges = await stores.graph.edges(author, [1, 2, 3, 4])
    assert [edges[reader].bound for reader in (1, 2, 3, 4)] == [bound, 0, 0, NOT_COVERED]


async def test_marks_of_an_edge_are_kept_by_versions_that_do_not_say_them(stores, fresh):
    """A new join knows nothing of an old block or of warmth that came and went."""
    author, reader = fresh(), fresh()
    marked = Edge(reader, author, True, T0 + 5, 0, 77, warm_since=88, warm_at=6, retracted_at=7)
    await stores.graph.put_edges([marked])

    await stores.graph.put_edges([Edge(reader, author, False, T0 + 8, 0)])
    await stores.graph.put_edges([Edge(reader, author, True, T0 + 9, 2, 99)])

    newest = Edge(reader, author, True, T0 + 9, 2, 99, warm_at=6, retracted_at=7)
    assert await stores.graph.edges(author, [reader]) == {reader: newest}
    assert await stores.graph.following(reader) == [newest]


async def test_a_version_made_from_a_stored_one_comes_after_it(stores, fresh):
    """Whatever its event time: a mark moves an edge on without another `at`, also backwards in its columns."""
    author, reader = fresh(), fresh()
    await stores.graph.put_edges([Edge(reader, author, True, T0 + 1000, 0, covered_from=90, warm_since=80)])
    for covered, warm in ((95, None), (60, 70), (61, None)):
        stored = (await stores.graph.edges(author, [reader]))[reader]
        assert stored.seen > 0
        await stores.graph.put_edges([replace(stored, covered_from=covered, warm_since=warm)])
        expected = Edge(reader, author, True, T0 + 1000, 0, covered, warm)
        assert (await stores.graph.edges(author, [reader]))[reader] == expected
        assert (await stores.graph.following(reader)) == [expected]

    await stores.graph.put_edges([Edge(reader, author, False, T0 + 1000, 0, seen=stored.seen)])
    assert (await stores.graph.following(reader)) == [], "at the same time an unfollow is later than a mark"


async def test_members_are_warmed_and_cooled_under_the_count(stores, fresh):
    author = fresh()
    await stores.graph.change_segment(SegmentChange(author, 0, None, add=(1, 2, 3)))

    assert await stores.graph.change_segment(SegmentChange(author, 0, 3, warm=((1, 70), (2, 80))))
    assert await stores.graph.followers(author, 0, warm=True) == Followers((1, 2, 3), {1: 70, 2: 80})
    assert await stores.graph.followers(author, 0) == Followers((1, 2, 3), {})
    assert not await stores.graph.change_segment(SegmentChange(author, 0, 2, warm=((3, 90),)))

    assert await stores.graph.change_segment(
        SegmentChange(author, 0, 3, remove=(3,), warm=((1, None), (2, 81)))
    )
    assert await stores.graph.followers(author, 0, warm=True) == Followers((1, 2), {2: 81})
    assert await stores.graph.segment_lives(author, 1) == [2]


async def test_who_left_and_comes_back_is_cold(stores, fresh):
    author = fresh()
    await stores.graph.change_segment(SegmentChange(author, 0, None, add=(1,), warm=((1, 70),)))
    await stores.graph.change_segment(SegmentChange(author, 0, 1, remove=(1,)))

    await stores.graph.change_segment(SegmentChange(author, 0, 0, add=(1,)))

    assert await stores.graph.followers(author, 0, warm=True) == Followers((1,), {})


async def test_who_ever_followed_anybody_is_known(stores, fresh):
    """Also who left, also one of many; nobody else."""
    reader = fresh()
    await stores.graph.put_edges([Edge(reader, author, True, T0 + 5, 0) for author in (1, 2, 3)])
    await stores.graph.put_edges([Edge(reader + 1, 1, False, 5, 0)])

    assert await stores.graph.ever_followed(range(reader, reader + 250)) == {reader, reader + 1}
    assert await stores.graph.ever_followed([]) == set()


async def test_the_next_followees_of_many_readers(stores, fresh):
    """In order, of each so many, also those who were left; limit − 1, limit and limit + 1."""
    reader = fresh()
    edges = [
        Edge(reader + n, author, author % 2 == 0, T0 + 5, 0, covered_from=7)
        for n, count in enumerate((2, 3, 4, 0, 60))
        for author in range(10, 10 + count)
    ]
    await stores.graph.put_edges(edges)

    found = await stores.graph.followees(range(reader, reader + 120), 10, 3)

    by_reader = {
        n: [e for e in edges if e.reader_id == reader + n and e.author_id > 10][:3] for n in (0, 1, 2, 4)
    }
    assert found == {reader + n: some for n, some in by_reader.items()}
    assert [len(some) for some in found.values()] == [1, 2, 3, 3]
    assert await stores.graph.followees([], 0, 3) == {}


async def test_first_followers_fill_segments_that_nobody_changed(stores, fresh):
    """More than fit into a batch, of several authors; twice is once."""
    author = fresh()
    firsts = [FirstFollowers(author, [tuple(range(1000)), (7000,)]), FirstFollowers(author + 1, [(5, 3)])]

    await stores.graph.put_first_followers(firsts)
    await stores.graph.put_first_followers(firsts[:1])

    found = [await stores.graph.followers(author, n) for n in range(3)]
    assert found == [Followers(tuple(range(1000)), {}), Followers((7000,), {}), Followers((), {})]
    assert await stores.graph.segment_lives(author, 3) == [1000, 1, None]
    assert (await stores.graph.followers(author + 1, 0)).ids == (3, 5)


async def test_first_followers_that_come_late_change_nothing(stores, fresh):
    """Who left meanwhile stays away, who came stays, and the count is that of the change."""
    author = fresh()
    await stores.graph.put_first_followers([FirstFollowers(author, [(1, 2, 3)])])
    assert await stores.graph.change_segment(SegmentChange(author, 0, 3, add=(4, 5), remove=(1,)))
    assert await stores.graph.change_segment(SegmentChange(author + 1, 0, None, add=(1, 2, 3)))
    assert await stores.graph.change_segment(SegmentChange(author + 1, 0, 3, remove=(3,)))

    await stores.graph.put_first_followers([FirstFollowers(a, [(1, 2, 3)]) for a in (author, author + 1)])

    assert [(await stores.graph.followers(a, 0)).ids for a in (author, author + 1)] == [(2, 3, 4, 5), (1, 2)]
    assert await stores.graph.segment_lives(author, 1) == [4]
    assert await stores.graph.segment_lives(author + 1, 1) == [2]


async def test_a_graph_is_whole_once_its_followers_are_counted(stores, fresh):
    author = fresh()

    await stores.graph.put_author_graphs([AuthorGraph(author, 0, 2, whole=False)])
    assert await stores.graph.author_graphs([author]) == {author: AuthorGraph(author, 0, 2, whole=False)}

    await stores.graph.put_author_graphs([AuthorGraph(author, 0, 2)])
    assert await stores.graph.author_graphs([author]) == {author: AuthorGraph(author, 0, 2)}

    await stores.graph.put_author_graphs([AuthorGraph(author, 9, 3, whole=False)])
    assert await stores.graph.author_graphs([author]) == {author: AuthorGraph(author, 0, 3)}
