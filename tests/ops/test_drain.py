"""`tideline drain`: nothing new goes in, the tier gets empty, and afterwards it is as it was before."""

import asyncio
from dataclasses import replace

import pytest

from pipeline.control.lag import PartitionLag, StageLag
from pipeline.errors import TidelineError
from pipeline.ops.drain import EMPTY_S, Drain
from pipeline.wire.records import AuthorClass, Containment

NOW = 1_790_000_000_000


def lag(records):
    return StageLag("fanout.large", "g", 30.0, (PartitionLag("fanout.large", 0, 1, 2, records),))


class World:
    """A tier that has these lags look by look, the last for ever; time goes on while it is waited for."""

    def __init__(self, *lags, failing=None):
        self.lags, self.failing, self.works = list(lags), failing, True
        self.journal, self.at = [], 0.0

    async def put(self, record):
        self.journal.append(("put", record))

    async def release(self, kind, target):
        self.journal.append(("release", kind, target))

    def look(self):
        self.journal.append("look")
        if self.failing is not None and self.did:
            raise self.failing
        return lag(self.lags.pop(0) if len(self.lags) > 1 else self.lags[0])

    def now_ms(self):
        return NOW + round(self.at * 1000)

    def monotonic_s(self):
        return self.at

    async def sleep(self, seconds):
        self.at += seconds

    async def drain(self, before=None, timeout_s=60.0):
        drain = Drain("large", self, self.look, lambda: self.works, self)
        await drain.run(before, timeout_s, lambda seen: None)

    @property
    def did(self):
        return [step for step in self.journal if step != "look"]


def shed(author_class=AuthorClass.PULL, by="operator", until=0):
    return Containment("shed", "large", author_class, 0, "before", by, NOW - 1, until)


WANTED = Containment(
    "shed", "large", AuthorClass.PULL, 0, "tideline drain large", "operator", NOW, NOW + 62_000
)
RELEASED = ("release", "shed", "large")


async def test_new_work_is_kept_out_before_the_first_look_and_let_in_after_the_last():
    world = World(50, 50, 20, 0)

    await world.drain()

    assert world.journal[:3] == ["look", ("put", WANTED), "look"]
    assert world.journal[-2:] == ["look", RELEASED]
    assert world.did == [("put", WANTED), RELEASED]


async def test_empty_counts_once_it_has_stayed_so():
    """A batch that was in the hands of classify may still come."""
    world = World(5, 5, 0, 0, 3, 0)

    await world.drain()

    assert world.at == pytest.approx(4 * 0.25 + EMPTY_S)


@pytest.mark.parametrize("records", [3, None])
async def test_what_is_not_empty_in_time_is_an_error_and_is_let_in_again(records):
    """Unknown is not empty."""
    world = World(records)

    with pytest.raises(TidelineError, match=r"large is not empty after 60 s: (3|an unknown number of) tasks"):
        await world.drain()

    assert world.did == [("put", WANTED), RELEASED]
    assert world.at == pytest.approx(60)


@pytest.mark.parametrize("error", [RuntimeError("bug"), asyncio.CancelledError(), KeyboardInterrupt()])
async def test_however_it_ends_new_work_is_let_in_again(error):
    world = World(1, failing=error)

    with pytest.raises(type(error)):
        await world.drain()

    assert world.did == [("put", WANTED), RELEASED]


async def test_what_an_operator_had_put_in_force_is_so_again():
    before = shed(AuthorClass.PARTIAL)
    world = World(0)

    await world.drain(before)

    assert world.did == [("put", WANTED), ("put", replace(before, since=NOW + 2_000))]


@pytest.mark.parametrize("until", [0, NOW + 3_600_000])
async def test_an_operator_who_keeps_new_work_out_already_goes_on_doing_so(until):
    world = World(1, 0)

    await world.drain(shed(until=until))

    assert world.did == []


@pytest.mark.parametrize(
    "before",
    [
        shed(by="controller"),
        shed(AuthorClass.PARTIAL, "controller", NOW + 30_000),
        shed(AuthorClass.PARTIAL, until=NOW + 500),
    ],
)
async def test_what_the_controller_did_is_its_own_and_what_has_ended_stays_so(before):
    world = World(0)

    await world.drain(before)

    assert world.did == [("put", WANTED), RELEASED]


async def test_a_tier_that_nobody_works_on_is_not_waited_for():
    world = World(3)
    world.works = False

    with pytest.raises(TidelineError, match="large would never be empty: nobody works on it") as refused:
        await world.drain()

    assert "tideline stage start fanout.large" in refused.value.hint
    assert world.did == []


async def test_a_tier_that_is_empty_needs_nobody():
    world = World(0)
    world.works = False

    await world.drain()

    assert world.did == [("put", WANTED), RELEASED]
