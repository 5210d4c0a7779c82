"""The figures of `tideline bench reads`, the loop behind them, and what its faults do; without engines.

How fast anything was is nobody's business here: the machine is shared.
"""

import asyncio
import json
from collections import Counter
from itertools import cycle

import pytest

from pipeline.bench import reads_figures, reads_world
from pipeline.bench.graph import FollowGraph
from pipeline.bench.reads_faults import Counted, Reads, SlowAuthor
from pipeline.bench.reads_figures import Contender, EmptyCaches, ReadsFigures
from pipeline.bench.reads_load import Sample, Turns, interleaved, turn
from pipeline.query.page import Page


def of(name, p50, p99):
    return Contender(name, 100, 10.0, p50, p99, 0, [p50], [p99])


def answers(*seconds):
    return [Sample(at=0.0, seconds=each, reader=1) for each in seconds]


@pytest.mark.parametrize(
    ("p50", "p99", "problems"),
    [
        (20.0, 90.0, []),
        (20.1, 90.0, ["page: p50 2.01 times bare, at most 2.0"]),
        (20.0, 91.0, ["page: p99 3.03 times bare, at most 3.0"]),
    ],
)
def test_a_page_may_cost_twice_the_bare_read_and_three_times_at_the_99th(p50, p99, problems):
    figures = ReadsFigures({}, {}, [of("bare", 10.0, 30.0), of("page", p50, p99)])

    assert figures.problems == problems


def test_the_figures_are_json():
    figures = ReadsFigures({}, {}, [of("bare", 10.0, 30.0), of("page", 15.0, 60.0)])

    document = json.loads(json.dumps(figures.document()))

    assert (document["met"], document["problems"]) == (True, [])
    assert document["ratios"]["page"] == {"p50": 1.5, "p99": 2.0, "p50_by_round": 1.5, "p99_by_round": 2.0}


def test_a_percentile_is_a_time_that_was_measured():
    times = answers(*(each / 1000 for each in range(1, 201)))

    assert reads_figures.percentile_ms(times, 0.5) == 100.0
    assert reads_figures.percentile_ms(times, 0.99) == 198.0
    assert reads_figures.percentile_ms(answers(0.007), 0.99) == 7.0


def test_a_contender_is_told_over_all_turns_and_by_round():
    one = reads_figures.contender("page", Turns([answers(0.001, 0.002), answers(0.004, 0.009)], [1.0, 1.0]))

    assert (one.reads, one.reads_s, one.p50_ms, one.p99_ms) == (4, 2.0, 2.0, 9.0)
    assert one.p50_by_round == [1.0, 4.0]


@pytest.mark.parametrize(
    ("lacks", "seconds", "problems"),
    [
        ((7,), 0.2, []),
        ((7,), 0.21, ["slow-author: p99 210 ms, the deadline is 200 ms"]),
        ((), 0.1, ["slow-author: 1 pages do not say what they lack"]),
        ((7, 8), 0.1, ["slow-author: 1 pages say that they lack another author"]),
    ],
)
def test_a_page_without_a_slow_author_says_so_in_time(lacks, seconds, problems):
    """Reader 1 follows author 7, whose partition is slow; reader 2 does not."""
    samples = [Sample(0.0, seconds, 1, ("pulled authors",), lacks), Sample(0.0, 0.01, 2)]

    assert reads_figures.slow_author(samples, 7, [1], 2000.0, 200.0).problems == problems


@pytest.mark.parametrize(("slow_until", "within"), [(0, 0), (1, 1), (10, 10), (11, 11), (12, None)])
def test_caches_have_recovered_when_no_later_second_is_slow(slow_until, within):
    """10 ms before, 31 ms until then, 30 ms from then on; twelve seconds are looked at."""
    samples = [Sample(99.5, 0.010, 1)]
    samples += [Sample(100.5 + n, 0.031 if n < slow_until else 0.030, 1) for n in range(12)]

    found = reads_figures.empty_caches(samples, 100.0, Counter({("posts", 1): 1}))

    assert found.within_s == within
    assert bool(found.problems) == (within is None or within > 10)


def test_a_key_that_is_read_twice_is_a_stampede():
    found = EmptyCaches(10.0, {0: 10.0}, 0, keys=2, reads=3, most=2)

    assert found.problems == ["empty-caches: a key was read 2 times"]


async def test_contenders_take_turns_and_as_many_readers_ask_at_once():
    asked, under_way, most = [], 0, 0

    def contender(name):
        async def ask(reader):
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1
            asked.append(name)
            return Page((), None, ("hydration",), lacks=(reader,))

        return ask

    measured = await interleaved(
        {"a": contender("a"), "b": contender("b")}, cycle([1, 2]), 3, 2, 0.005, lambda words: None
    )

    order = [name for name, before in zip(asked, [None, *asked], strict=False) if name != before]
    assert (order, most) == (["a", "b", "a", "b"], 3)
    assert [len(one.samples) for one in measured.values()] == [2, 2]
    assert measured["a"].samples[0][0].degraded == ("hydration",)
    assert measured["a"].samples[0][0].lacks == (1,)


async def test_what_comes_back_may_be_no_page():
    async def ask(reader):
        await asyncio.sleep(0)

    samples = await turn(ask, cycle([1]), 1, 0.001)

    assert {(one.degraded, one.lacks) for one in samples} == {((), ())}


class Posts:
    """A port of two methods."""

    async def recent(self, author_id, lo, hi, limit):
        """One row."""
        return [author_id]

    async def posts(self, post_ids):
        """As many rows."""
        return list(post_ids)


async def test_one_author_is_slow_and_everything_else_is_not(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    slow = SlowAuthor(Posts(), 7)

    assert (await slow.recent(8, 0, 9, 1), await slow.posts([7]), slept) == ([8], [7], [])
    assert (await slow.recent(7, 0, 9, 1), slept) == ([7], [2.0])


async def test_reads_are_counted_by_key():
    reads = Reads()
    port = Counted(Posts(), reads)

    await port.recent(7, 0, 9, 1)
    await port.posts([1, 2])
    await port.posts([2])

    assert reads.of == {("recent", 7): 1, ("posts", 1): 1, ("posts", 2): 2}
    assert reads.most == 2


def test_every_reader_has_the_same_posts_by_other_paths():
    followers = {author: list(range(1_000, 1_100)) for author in range(1, 500)}
    world = reads_world.draw(FollowGraph(followers, {1_099: []}, 0), readers=10)
    followed = Counter()
    for event in world.edges(1):
        followed.update(event.record.follower_ids)

    assert {followed[reader] for reader in world.readers} == {80}
    assert {followed[world.pusher(reader)] for reader in world.readers} == {60}
    assert {followed[world.puller(reader)] for reader in world.readers} == {80}
    registered = {event.record.user_id for event in world.accounts(1)}
    assert registered == {*world.readers, *map(world.pusher, world.readers)}
