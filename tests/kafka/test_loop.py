"""The safe loop: nothing is acknowledged before it has settled, and nothing leaves the loop."""

import asyncio

import pytest

from pipeline.domain.hold import Limit
from pipeline.errors import Unavailable
from pipeline.kafka import loop as module
from pipeline.kafka.batches import Unreadable
from pipeline.kafka.dead_letters import DeadLetters
from pipeline.kafka.loop import SafeLoop, incoming, take
from pipeline.store.ports import StoreRefuses
from pipeline.telemetry import metrics
from pipeline.wire.records import ActivityEvent
from tests.kafka.stream import Handler, Outbox, Stream, event, only_this_task, running, until


async def test_the_tail_is_acknowledged_when_nothing_more_arrives():
    """Driven by its completion: a SIGTERM would wait for ever otherwise."""
    stream, handler = Stream([1, 2]), Handler()
    handler.hold(2)

    async with running(stream, handler):
        await until(lambda: handler.calls)
        assert stream.acked == []
        handler.let_go(2)
        await until(lambda: stream.acked == [1, 2])


async def test_acknowledgements_come_in_order_whatever_settles_first():
    """
    ::

        batch 1 2    ├───────────────┤ settles second
        batch 3 4      ├─────┤         settles first, waits
        acked                         1 2 3 4
    """
    stream, handler = Stream([1, 2], [3, 4]), Handler()
    handler.hold(1)

    async with running(stream, handler):
        await until(lambda: handler.done == [3, 4])
        assert stream.acked == []
        handler.let_go(1)
        await until(lambda: stream.acked == [1, 2, 3, 4])


@pytest.mark.parametrize("in_flight", [1, 2, 3])
async def test_so_many_batches_are_in_flight(in_flight):
    """The next one begins when the oldest is acknowledged, not when any has settled."""
    stream, handler = Stream(*([one] for one in range(1, 9))), Handler()
    handler.hold(1, 3, 4, 5, 6, 7, 8)

    async with running(stream, handler, in_flight=in_flight):
        await until(lambda: len(handler.calls) == in_flight)
        assert handler.calls == [[one] for one in range(1, in_flight + 1)]
        assert stream.taken <= in_flight + 1
        handler.let_go(1)
        await until(lambda: stream.acked == [1, 2])
        assert handler.calls == [[one] for one in range(1, in_flight + 3)]


async def test_a_batch_is_tried_again_while_an_engine_is_away():
    """Without end and whole; it is acknowledged once, after it succeeded."""
    stream, handler = Stream([1, 2]), Handler()
    handler.raises[2] = [Unavailable("away", "wait") for _ in range(7)]

    async with running(stream, handler):
        await until(lambda: stream.acked)

    assert handler.calls == [[1, 2]] * 8
    assert stream.acked == [1, 2]


async def test_a_message_that_breaks_the_code_is_found_by_itself():
    """Its batch mates are processed, it becomes a dead letter with the trace, and all are acknowledged."""
    stream, handler, outbox = Stream([1, 2, 3]), Handler(), Outbox()
    handler.raises[2] = ValueError("no such thing")

    async with running(stream, handler, outbox=outbox):
        await until(lambda: stream.acked == [1, 2, 3])

    assert handler.done == [1, 3]
    (letter,) = outbox.sent
    headers = dict(letter.headers)
    assert headers["__streams.errors.exception"] == b"ValueError"
    assert headers["__streams.errors.message"] == b"no such thing"
    assert b"stream.py" in headers["__streams.errors.stacktrace"]


@pytest.mark.parametrize("wrong", [{77}, {1}, {128}, {64, 65}, {3, 50, 120}, {*range(60, 70)}])
async def test_broken_messages_are_found_by_halving(wrong):
    """One of 128 costs 14 calls beside the first; the order of the others stays, and so does theirs."""
    stream, handler, outbox = Stream(range(1, 129)), Handler(), Outbox()
    handler.raises = dict.fromkeys(wrong, ValueError("no such thing"))

    async with running(stream, handler, outbox=outbox):
        await until(lambda: len(stream.acked) == 128)

    assert handler.done == [one for one in range(1, 129) if one not in wrong]
    assert list(outbox.letters()) == sorted(wrong)
    assert len(handler.calls) <= 1 + len(wrong) * 14


async def test_what_an_engine_will_never_do_is_a_dead_letter_and_is_not_waited_for():
    """Of its record alone: a partition that cannot be read, a message that its topic does not take."""
    stream, handler, outbox = Stream([1, 2, 3]), Handler(), Outbox()
    handler.raises[2] = StoreRefuses("posts_by_author: too many tombstones")

    async with running(stream, handler, outbox=outbox):
        await until(lambda: stream.acked == [1, 2, 3])

    assert handler.done == [1, 3]
    assert outbox.letters() == {2: "engine"}


async def test_records_that_cannot_be_read_are_a_dead_letter_with_the_reason():
    stream, handler, outbox = (
        Stream([event(1, Unreadable("offsets 0 to 1: too large")), 2]),
        Handler(),
        Outbox(),
    )

    async with running(stream, handler, outbox=outbox):
        await until(lambda: stream.acked == [1, 2])

    (letter,) = outbox.sent
    assert dict(letter.headers)["__streams.errors.exception"] == b"unreadable"
    assert dict(letter.headers)["__streams.errors.message"] == b"offsets 0 to 1: too large"


async def test_a_stage_stands_still_when_all_breaks_it_and_goes_on_when_something_does_not(monkeypatch):
    """One batch at a time, each after a pause; nobody takes it for a stall. The metric says so."""
    pauses, sleep = [], asyncio.sleep

    async def paused(seconds):
        if seconds == module.HELD_S:
            pauses.append(seconds)
        await sleep(0)

    stream, handler, outbox = Stream(), Handler(), Outbox()
    monkeypatch.setattr(module.asyncio, "sleep", paused)
    loop = SafeLoop(
        {"activity": ActivityEvent},
        DeadLetters(outbox),
        batch=9,
        in_flight=2,
        stage="held",
        hold=Limit(ratio=0.9, records=4),
    )
    handler.raises = dict.fromkeys(range(1, 9), ValueError("bug"))
    async with running(stream, handler, loop=loop):
        stream.feed(1, 2)
        await until(lambda: stream.acked == [1, 2])
        assert shown(metrics.STAGE_HELD, "held") == 0
        stream.feed(3, 4)
        await until(lambda: shown(metrics.STAGE_HELD, "held") == 1)
        assert loop.idle_s() == 0
        stream.feed(5, 6)
        await until(lambda: len(stream.acked) == 6)
        assert len(pauses) == 1

        stream.feed(7, 9)
        await until(lambda: len(stream.acked) == 8)
        assert shown(metrics.STAGE_HELD, "held") == 0
        before = len(pauses)
        stream.feed(10)
        await until(lambda: len(stream.acked) == 9)
        assert len(pauses) == before


def shown(gauge, *labels):
    return gauge.labels(*labels)._value.get()


async def test_isolation_waits_for_engines_too():
    """A message is not to blame for an engine that goes away while its batch is taken apart."""
    stream, handler, outbox = Stream([1, 2]), Handler(), Outbox()
    handler.raises = {
        1: [ValueError("bug"), Unavailable("away"), Unavailable("away")],
        2: [Unavailable("away")],
    }

    async with running(stream, handler, outbox=outbox):
        await until(lambda: stream.acked == [1, 2])

    assert handler.done == [1, 2]
    assert outbox.sent == []


async def test_a_stage_that_cancels_itself_is_tried_again():
    """As when something it shares with others was cancelled; only the end of the loop ends a batch."""
    stream, handler = Stream([1], [2]), Handler()
    handler.raises[1] = [asyncio.CancelledError(), asyncio.CancelledError()]

    async with running(stream, handler):
        await until(lambda: stream.acked == [1, 2])

    assert handler.calls.count([1]) == 3


async def test_nothing_unsettled_is_acknowledged_when_the_loop_ends():
    """
    ::

        batch 1    settled, acknowledged
        batch 2    held when the end comes: cancelled
        batch 3    settled, but after 2: not acknowledged
        batch 4    held: cancelled
    """
    stream, handler = Stream([1], [2], [3], [4]), Handler()
    handler.hold(2, 4)

    async with running(stream, handler, in_flight=3):
        await until(lambda: handler.done == [1, 3] and [4] in handler.calls)
    await until(only_this_task)

    assert stream.acked == [1]
    assert sorted(handler.cancelled) == [2, 4]


async def test_the_end_of_an_idle_loop_leaves_nothing_behind():
    """No task that waits for an arrival that cannot come."""
    stream = Stream([1])

    async with running(stream, Handler()):
        await until(lambda: stream.acked == [1])

    await until(only_this_task)


async def test_an_end_while_an_engine_is_away_ends_the_trying():
    """A pause is no place to hide from a SIGTERM."""
    stream, handler = Stream([1]), Handler()
    handler.raises[1] = Unavailable("away")

    async with running(stream, handler):
        await until(lambda: len(handler.calls) > 3)
    calls = len(handler.calls)
    await until(only_this_task)

    assert len(handler.calls) <= calls + 1
    assert stream.acked == []


async def test_the_loop_runs_again_after_a_rebalance():
    """Afresh: what was open before is Kafka's to send again."""
    handler, before, after = Handler(), Stream([1], [2]), Stream([2], [3])
    handler.hold(2)
    async with running(before, handler) as loop:
        await until(lambda: before.acked == [1])

    handler.held.clear()
    async with running(after, handler, loop=loop):
        await until(lambda: after.acked == [2, 3])

    assert before.acked == [1]


@pytest.mark.parametrize(
    "headers", [None, [], [("a", b"1")], {"a": b"1"}, [("a", b"1"), ("a", b"2"), ("b", None)]]
)
def test_headers_of_any_shape_are_pairs(headers):
    """Faust gives a list, a dict or nothing."""
    pairs = list(headers.items()) if isinstance(headers, dict) else headers or []

    assert list(incoming(event(1, headers=headers)).headers) == pairs


def test_the_time_of_a_message_is_exact_to_the_millisecond():
    """Faust makes seconds of it, as a float; a truncated ms could refuse a post for its clock."""
    times = [*range(2_000), *range(1_700_000_000_000, 1_700_000_002_000)]

    assert [incoming(event(1, timestamp=at_ms / 1000.0)).timestamp_ms for at_ms in times] == times


async def test_a_batch_is_what_has_arrived_and_what_comes_along():
    arriving = asyncio.Queue()
    for number in range(5):
        arriving.put_nowait(number)

    assert await take(arriving, 3, within_s=60) == [0, 1, 2]  # full: it waits for nobody

    asyncio.get_running_loop().call_later(0.001, arriving.put_nowait, 5)
    assert await take(arriving, 9, within_s=0.05) == [3, 4, 5]


async def test_nothing_ticks_while_nothing_arrives():
    """An idle stage is one of a dozen on a machine."""
    loop, arriving = asyncio.get_running_loop(), asyncio.Queue()
    taking = asyncio.create_task(take(arriving, 9, within_s=0.001))
    await asyncio.sleep(0)

    assert not loop._scheduled
    assert not taking.done()

    arriving.put_nowait(1)
    assert await taking == [1]
