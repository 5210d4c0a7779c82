"""Each reader has a rate of their own; who runs it has none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.auth.tokens import Caller
from pipeline.domain.rates import Rate, take
from pipeline.web.limits import RateLimits
from tests.web.server import AUTHOR, KEYS, READER, STRANGER, TIMELINE, Server, problem


async def statuses(server, times, path=TIMELINE, **headers):
    return [(await server.get(path, **headers)).status for _ in range(times)]


async def test_who_asks_too_often_waits_as_long_as_the_answer_says():
    """Three at once, then one in four seconds."""
    async with Server(rate_per_second=0.25, burst=3) as server:
        assert await statuses(server, 4) == [200, 200, 200, 429]
        refused = await server.get(TIMELINE)
        problem(refused, 429, "too many requests of this reader")
        assert refused.headers["Retry-After"] == "4"

        server.now = 3.9
        assert await statuses(server, 1) == [429]
        server.now = 4.0
        assert await statuses(server, 2) == [200, 429]


async def test_every_read_counts_and_other_readers_do_not():
    """A page, a post, a following; also one that is refused for its reader."""
    async with Server(burst=3, rate_per_second=0.1) as server:
        paths = [
            "/v1/posts/5",
            f"/v1/readers/{READER}/following/{AUTHOR}",
            f"/v1/readers/{STRANGER}/timeline",
        ]
        assert [(await server.get(path)).status for path in paths] == [404, 200, 403]
        assert await statuses(server, 1) == [429]

        theirs = KEYS.sign(Caller(STRANGER), life_s=60)
        assert await statuses(server, 1, f"/v1/readers/{STRANGER}/timeline", token=theirs) == [200]


async def test_what_is_refused_without_a_reader_counts_for_nobody():
    """A stranger cannot use up a reader's rate."""
    async with Server(burst=1, rate_per_second=0.1) as server:
        assert await statuses(server, 5, token="nonsense") == [401] * 5
        assert await statuses(server, 1) == [200]


async def test_operators_and_those_who_run_it_are_not_limited():
    """Audits read whole feeds."""
    async with Server(burst=1, rate_per_second=0.1) as server:
        operator = KEYS.sign(Caller(READER, operator=True), life_s=60)

        assert await statuses(server, 5, token=operator) == [200] * 5
        assert await statuses(server, 5, "/healthz") == [200] * 5


async def test_without_tokens_it_is_the_reader_asked_for_who_is_limited():
    """There is nobody else to know."""
    async with Server(keys=None, burst=1, rate_per_second=0.1) as server:
        assert await statuses(server, 2) == [200, 429]
        assert await statuses(server, 1, f"/v1/readers/{STRANGER}/timeline") == [200]


def test_a_reader_is_forgotten_when_nobody_can_tell():
    """A bucket that is full again is as one that was never used."""
    now = 0.0
    limits = RateLimits(Rate(1, 2), lambda: now)
    for reader in range(1, 101):
        limits.wait(reader)
    assert len(limits) == 100

    now = 1.0
    limits.wait(200)
    assert len(limits) == 1


def test_many_ids_give_nobody_tokens_back():
    """Whoever asks for two hundred others in between waits all the same."""
    limits = RateLimits(Rate(0.1, 1), lambda: 0.0, most=2, cells=8)
    limits.wait(1)

    for other in range(2, 200):
        limits.wait(other)
        assert limits.wait(1)


readers = st.integers(1, 9)
asking = st.lists(st.tuples(readers, st.sampled_from([0.0, 0.0, 0.1, 0.5, 3.0])), max_size=150)


@settings(deadline=None)
@given(asking, st.integers(1, 4), st.integers(1, 5), st.integers(1, 4))
def test_in_whatever_order_ids_come_nobody_gets_more_than_their_rate(asked, burst, most, cells):
    """In any stretch of time: the burst, and what the rate gives. And no more is remembered than there is room."""
    now, served = 0.0, {}
    limits = RateLimits(Rate(1.0, burst), lambda: now, most=most, cells=cells)

    for reader, pause in asked:
        now += pause
        if not limits.wait(reader):
            served.setdefault(reader, []).append(now)
        assert len(limits) <= most

    for times in served.values():
        for first, begin in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= burst + (times[last] - begin) + 1e-6


@given(st.lists(st.tuples(readers, st.floats(0, 3)), max_size=100), st.integers(1, 4))
def test_with_room_for_all_everybody_has_exactly_their_rate(asked, burst):
    """As if each had a bucket for ever."""
    now, buckets, rate = 0.0, {}, Rate(1.0, burst)
    limits = RateLimits(rate, lambda: now, most=9)

    for reader, pause in asked:
        now += pause
        buckets[reader], wait = take(buckets.get(reader), rate, now)
        assert limits.wait(reader) == pytest.approx(wait, abs=1e-6)
