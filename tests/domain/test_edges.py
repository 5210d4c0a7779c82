"""What follow events change: any history of batches, crashes and replays ends as the naive model does.

`Tables` is the graph stage in miniature: the steps of `pipeline/stages/graph.py` over dictionaries, so that
the rule can be cut off after any single write. The agent itself is held to the same model by
`tests/stages/test_graph.py`.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.edges import EdgeNow, plan
from pipeline.domain.order import Version
from pipeline.wire.records import FollowEvent
from tests.domain.examples import at_least

AUTHOR, SIZE = 7, 2


def follow(at, *readers):
    return FollowEvent("followed", AUTHOR, readers, at)


def unfollow(at, *readers):
    return FollowEvent("unfollowed", AUTHOR, readers, at)


def placed(event, place=0):
    return event, Version(event.at, place)


def model(events):
    """Who follows in the end: by reader the last writer wins, at the same time the later on the partition."""
    last = {}
    for event, version in events:
        for reader in event.follower_ids:
            last[reader] = max(last.get(reader, (0, 0, "")), (event.at, version.place, event.type))
    return {reader for reader, (*_, kind) in last.items() if kind == "followed"}


class Tables:
    """Edges by reader as `(follows, version, segment, settled)`, and the members of each segment."""

    def __init__(self):
        self.edges = {}
        self.segments = []

    def copy(self):
        """The tables as they are now."""
        other = Tables()
        other.edges, other.segments = dict(self.edges), [set(members) for members in self.segments]
        return other

    def put(self, reader, follows, version, segment, settled):
        """A register: the later event wins, then what is settled."""
        old = self.edges.get(reader)
        if old is None or (version, settled) >= (old[1], old[3]):
            self.edges[reader] = (follows, version, segment, settled)

    def steps(self, events):
        """Every write of one batch, one at a time; each `yield` is a place to crash."""
        stored = {reader: EdgeNow(*edge) for reader, edge in self.edges.items()}
        todo = plan(events, stored, [len(members) for members in self.segments], SIZE)
        while len(self.segments) <= max(todo.changes, default=-1):
            self.segments.append(set())
        yield "the segments are known"
        for segment, readers in todo.vacated.items():
            self.segments[segment] -= set(readers)
            yield "an old seat is free"
        for reader, (version, segment) in todo.joins.items():
            self.put(reader, True, version, segment, False)
            yield "joins, not yet covered"
        for reader, (version, segment) in todo.gone.items():
            self.put(reader, False, version, segment, True)
            yield "is gone for the reader"
        for segment, change in todo.changes.items():
            assert not set(change.add) & set(change.remove)
            assert change.check or not set(change.add) & self.segments[segment]
            self.segments[segment] |= set(change.add)
            self.segments[segment] -= set(change.remove)
            yield "the segment is as wanted"
        for reader, (version, segment) in todo.joins.items():
            self.put(reader, True, version, segment, True)
            yield "covered"
        for reader, version in todo.refreshed.items():
            _, _, segment, settled = self.edges[reader]
            self.put(reader, True, version, segment, settled)
            yield "moved in time"

    def seats(self):
        """By reader, the segments it is in."""
        found = {}
        for segment, members in enumerate(self.segments):
            for reader in members:
                found.setdefault(reader, []).append(segment)
        return found


readers = st.sampled_from([(1,), (1,), (2,), (1, 2), (1, 2, 3), (3, 4)])
kinds = st.sampled_from(["followed", "unfollowed"])
lates = st.sampled_from([0, 0, 0, 0, -2, -1, 1])
logs = st.lists(st.tuples(kinds, readers, lates), min_size=1, max_size=7).map(
    lambda drawn: [
        placed(FollowEvent(kind, AUTHOR, who, 5 + n + late), n) for n, (kind, who, late) in enumerate(drawn)
    ]
)
"""Mostly in order of time: some late, some at the same time."""

batches = st.integers(1, 3)
runs = st.lists(st.tuples(batches, st.integers(0, 6)), max_size=4)
"""A worker's life: how many events its next batch takes, and after how many writes it dies (0: never)."""

crashes = st.tuples(st.integers(0, 6), batches, runs)
"""Where the batch begins that dies, how many events it has, and what the workers after it live to see."""


def work(tables, log, run, watch):
    """Work through the log as the run says, then to its end in batches of two; what died is replayed."""
    offset, plans = 0, iter(run)
    while offset < len(log):
        taken, dies_after = next(plans, (2, 0))
        for done, _ in enumerate(tables.steps(log[offset : offset + taken]), start=1):
            watch(tables)
            if done == dies_after:
                break
        else:
            offset += taken


def every_crash(log, crash, watch=lambda _: None):
    """The tables at the end, for a worker that dies after the first write of one batch, the second, and so on."""
    start, taken, run = crash
    before = Tables()
    for offset in range(0, min(start, len(log)), 2):
        work(before, log[offset : min(offset + 2, start)], [], watch)
    writes = len(list(before.copy().steps(log[start : start + taken])))
    for dies_after in range(1, writes + 1):
        tables = before.copy()
        work(tables, log[start:], [(taken, dies_after), *run], watch)
        yield tables


@at_least(500)
@given(logs, crashes)
def test_the_end_is_the_last_writers_whatever_happens_on_the_way(log, crash):
    """Edges, and the members of all segments together, are those of the naive model."""
    for tables in every_crash(log, crash):
        assert {reader for reader, edge in tables.edges.items() if edge[0]} == model(log)
        assert set(tables.seats()) == model(log)


@at_least(500)
@given(logs, crashes)
def test_no_reader_is_ever_in_two_segments(log, crash):
    """After no write of any batch, also when a crash came between an unfollow and its segment."""

    def alone(tables):
        assert all(len(seats) == 1 for seats in tables.seats().values())

    list(every_crash(log, crash, alone))


@at_least(500)
@given(logs, crashes)
def test_a_covered_edge_is_a_member_of_its_segment(log, crash):
    """At every point: what a reader relies on to be pushed is pushed."""

    def covered(tables):
        for reader, (follows, _, segment, settled) in tables.edges.items():
            assert not (follows and settled) or reader in tables.segments[segment]

    list(every_crash(log, crash, covered))


@at_least(500)
@given(logs, st.lists(batches, max_size=7))
def test_without_crashes_no_segment_is_over_its_size(log, taken):
    """However the events are batched."""

    def bounded(tables):
        assert all(len(members) <= SIZE for members in tables.segments)

    work(Tables(), log, [(count, 0) for count in taken], bounded)


@at_least(500)
@given(logs, crashes)
def test_a_segment_is_over_its_size_by_no_more_than_a_crash_cut_off(log, crash):
    """A seat once given is kept, so the joins of batches that were cut off may come on top."""
    start, taken, run = crash
    cut_off = [event for event in log[start:] if run] or log[start : start + taken]
    late_joins = {reader for event, _ in cut_off for reader in event.follower_ids}

    for tables in every_crash(log, crash):
        assert all(len(members) <= SIZE + len(late_joins) for members in tables.segments)


@given(logs, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(log, random):
    """The same events shuffled, and some of them twice, end the same."""
    again, tables = [*log, *random.choices(log, k=4)], Tables()
    random.shuffle(again)

    work(tables, again, [], lambda _: None)

    assert set(tables.seats()) == model(log)


def settled(at, segment=0, follows=True):
    return EdgeNow(follows, Version(at, 3), segment)


def cut_off(at, segment):
    return EdgeNow(True, Version(at, 0), segment, settled=False)


@pytest.mark.parametrize("at", [4, 5, 6])
@pytest.mark.parametrize("place", [2, 3, 4])
@pytest.mark.parametrize("kind", [follow, unfollow])
def test_an_older_event_changes_no_edge(kind, at, place):
    """Followed at 5, by the event of place 3: at that time the place decides."""
    found = plan([placed(kind(at, 1), place)], {1: settled(5)}, [1], SIZE)

    later, same = (at, place) > (5, 3), (at, place) == (5, 3)
    assert bool(found.gone) == (kind is unfollow and (later or same))
    assert bool(found.refreshed) == (kind is follow and later)
    assert not found.joins


@pytest.mark.parametrize(("at", "place", "joins"), [(4, 9, 0), (5, 2, 0), (5, 4, 1), (6, 2, 1)])
def test_a_follow_comes_back_only_after_the_unfollow(at, place, joins):
    """Unfollowed at 5, by the event of place 3."""
    found = plan([placed(follow(at, 1), place)], {1: settled(5, follows=False)}, [0], SIZE)

    assert found.joins == ({1: (Version(at, place), 0)} if joins else {})


@pytest.mark.parametrize("kinds", [(follow, unfollow), (unfollow, follow)])
def test_of_two_events_of_one_time_the_later_on_the_partition_counts(kinds):
    """In one batch, in whatever order it has them."""
    events = [placed(kind(5, 1), place) for place, kind in enumerate(kinds)]

    for batch in (events, events[::-1]):
        found = plan(batch, {}, [0], SIZE)
        assert bool(found.joins) == (kinds[1] is follow)
        assert bool(found.gone) == (kinds[1] is unfollow)


def test_a_returning_reader_gives_up_the_old_seat_before_it_gets_a_new_one():
    """The unfollow may have been cut off after its edge and before its segment."""
    found = plan([placed(follow(6, 1))], {1: settled(5, segment=2, follows=False)}, [0, 2, 2], SIZE)

    assert found.vacated == {2: [1]}
    assert found.joins == {1: (Version(6, 0), 0)}


def test_a_join_that_was_cut_off_is_finished_in_its_segment():
    """And looked up there first: it may be a member already."""
    found = plan([placed(follow(5, 1))], {1: cut_off(5, 1)}, [0, 1], SIZE)

    assert found.joins == {1: (Version(5, 0), 1)}
    assert (found.changes[1].add, found.changes[1].check) == ([1], True)


def test_joins_that_were_cut_off_keep_their_seats_from_newcomers():
    """
    ::

        segment 0    a _      the second seat was given to 1 before the crash
        newcomer 2   sits in segment 1
    """
    found = plan([placed(follow(5, 1)), placed(follow(5, 2))], {1: cut_off(5, 0)}, [1], SIZE)

    assert found.joins == {1: (Version(5, 0), 0), 2: (Version(5, 0), 1)}


def test_an_unfollow_of_a_stranger_is_remembered():
    """A follow from before it may still come; there is no segment to leave."""
    found = plan([placed(unfollow(5, 1))], {}, [], SIZE)

    assert (found.gone, found.changes) == ({1: (Version(5, 0), -1)}, {})
