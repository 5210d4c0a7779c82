"""Each reader has a rate of their own; who runs it has none."""

import pytest

from pipeline.domain.rates import Rate
from pipeline.tokens import Caller
from pipeline.web.limits import Limits
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


@pytest.mark.parametrize(("others", "waits"), [(1, True), (2, False)])
def test_the_readers_who_asked_longest_ago_are_forgotten(others, waits):
    """Two are remembered: after two others the first has a full bucket again."""
    limits = Limits(Rate(0.1, 1), lambda: 0.0, most=2)
    limits.wait(1)

    for other in range(others):
        limits.wait(10 + other)

    assert bool(limits.wait(1)) == waits


def test_who_goes_on_asking_is_not_forgotten():
    """A refusal is remembered too."""
    limits = Limits(Rate(0.1, 1), lambda: 0.0, most=2)
    for other in range(10):
        limits.wait(1)
        limits.wait(10 + other)

    assert limits.wait(1)
