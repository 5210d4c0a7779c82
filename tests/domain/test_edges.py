"""What follow events change: any history of batches, crashes and replays ends as the naive model does.

`Tables` is the graph stage in miniature: the steps of `pipeline/agents/graph.py` over dictionaries, so that
the rule can be cut off after any single write. The agent itself is held to the same model by
`tests/agents/test_graph.py`.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.edges import EdgeNow, plan
from pipeline.records import FollowEvent
from tests.domain.examples import at_least

AUTHOR, SIZE = 7, 2


def follow(at, *readers):
    return FollowEvent("followed", AUTHOR, readers, at)


def unfollow(at, *readers):
    return FollowEvent("unfollowed", AUTHOR, readers, at)


def model(events):
    """Who follows in the end: by reader the last writer wins, at the same time the unfollow."""
    last = {}
    for event in events:
        for reader in event.follower_ids:
            last[reader] = max(last.get(reader, (0, 0)), (event.at, event.type == "unfollowed"))
    return {reader for reader, (_, unfollowed) in last.items() if not unfollowed}


class Tables:
    """Edges by reader as `(follows, at, segment, settled)`, and the members of each segment."""

    def __init__(self):
        self.edges = {}
        self.segments = []

    def copy(self):
        """The tables as they are now."""
        other = Tables()
        other.edges, other.segments = dict(self.edges), [set(members) for members in self.segments]
        return other

    def put(self, reader, follows, at, segment, settled):
        """A register: the later event wins, then the unfollow, then what is settled."""
        old = self.edges.get(reader)
        if old is None or (at, not follows, settled) >= (old[1], not old[0], old[3]):
            self.edges[reader] = (follows, at, segment, settled)

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
        for reader, (at, segment) in todo.joins.items():
            self.put(reader, True, at, segment, False)
            yield "joins, not yet covered"
        for reader, (at, segment) in todo.gone.items():
            self.put(reader, False, at, segment, True)
            yield "is gone for the reader"
        for segment, change in todo.changes.items():
            assert not set(change.add) & set(change.remove)
            assert change.check or not set(change.add) & self.segments[segment]
            self.segments[segment] |= set(change.add)
            self.segments[segment] -= set(change.remove)
            yield "the segment is as wanted"
        for reader, (at, segment) in todo.joins.items():
            self.put(reader, True, at, segment, True)
            yield "covered"
        for reader, at in todo.refreshed.items():
            _, _, segment, settled = self.edges[reader]
            self.put(reader, True, at, segment, settled)
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
    lambda drawn: [FollowEvent(kind, AUTHOR, who, 5 + n + late) for n, (kind, who, late) in enumerate(drawn)]
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
    late_joins = {reader for event in cut_off for reader in event.follower_ids}

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
    return EdgeNow(follows, at, segment)


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (unfollow(4, 1), False),
        (unfollow(5, 1), True),
        (unfollow(6, 1), True),
        (follow(4, 1), False),
        (follow(5, 1), False),
        (follow(6, 1), True),
    ],
)
def test_an_older_event_changes_no_edge(event, changes):
    """Followed at 5: an unfollow wins from 5 on, a follow only moves the edge from 6 on."""
    found = plan([event], {1: settled(5)}, [1], SIZE)

    assert bool(found.gone or found.refreshed or found.joins) == changes
    assert not found.joins


@pytest.mark.parametrize(("at", "joins"), [(4, {}), (5, {}), (6, {1: (6, 0)})])
def test_a_follow_comes_back_only_after_the_unfollow(at, joins):
    """Unfollowed at 5: the unfollow wins the tie."""
    assert plan([follow(at, 1)], {1: settled(5, follows=False)}, [0], SIZE).joins == joins


def test_a_returning_reader_gives_up_the_old_seat_before_it_gets_a_new_one():
    """The unfollow may have been cut off after its edge and before its segment."""
    found = plan([follow(6, 1)], {1: settled(5, segment=2, follows=False)}, [0, 2, 2], SIZE)

    assert found.vacated == {2: [1]}
    assert found.joins == {1: (6, 0)}


def test_a_join_that_was_cut_off_is_finished_in_its_segment():
    """And looked up there first: it may be a member already."""
    found = plan([follow(5, 1)], {1: EdgeNow(True, 5, 1, settled=False)}, [0, 1], SIZE)

    assert found.joins == {1: (5, 1)}
    assert (found.changes[1].add, found.changes[1].check) == ([1], True)


def test_joins_that_were_cut_off_keep_their_seats_from_newcomers():
    """
    ::

        segment 0    a _      the second seat was given to 1 before the crash
        newcomer 2   sits in segment 1
    """
    found = plan([follow(5, 1), follow(5, 2)], {1: EdgeNow(True, 5, 0, settled=False)}, [1], SIZE)

    assert found.joins == {1: (5, 0), 2: (5, 1)}


def test_an_unfollow_of_a_stranger_is_remembered():
    """A follow from before it may still come; there is no segment to leave."""
    found = plan([unfollow(5, 1)], {}, [], SIZE)

    assert (found.gone, found.changes) == ({1: (5, -1)}, {})
