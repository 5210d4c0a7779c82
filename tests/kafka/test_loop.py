"""The safe loop: nothing is acknowledged before it has settled, and nothing leaves the loop."""

import asyncio

import pytest

from pipeline.errors import Unavailable
from pipeline.kafka.loop import incoming, take
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
