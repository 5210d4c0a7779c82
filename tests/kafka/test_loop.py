"""The safe loop: nothing is acknowledged before it has settled, and nothing leaves the loop."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from pipeline.codec import CodecError, encode
from pipeline.errors import EngineError, Unavailable
from pipeline.kafka import loop as module
from pipeline.kafka.dead_letters import DeadLetters
from pipeline.kafka.loop import SafeLoop, incoming
from pipeline.kafka.messages import Refused
from pipeline.kafka.outbox import NotDelivered, TooLarge
from pipeline.records import ActivityEvent, PolicySettings
from tests.kafka.stream import Handler, Outbox, Stream, event
from tests.waiting import eventually_async


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    """Back-off without the waiting: the order of things is what is tested."""
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(module, "_LONGEST_PAUSE_S", 0.002)


@asynccontextmanager
async def running(stream, handler, *, in_flight=2, outbox=None):
    """The loop, processing the stream until the block ends."""
    loop = SafeLoop(
        {"activity": ActivityEvent}, DeadLetters(outbox or Outbox()), batch=9, in_flight=in_flight
    )
    task = asyncio.create_task(loop.run(stream, handler))
    try:
        yield loop
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition):
    """Wait, and then let everything that is ready have its turn, so that what must not happen could have."""
    await eventually_async(condition)
    for _ in range(20):
        await asyncio.sleep(0)


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
    stream, handler = Stream(*([one] for one in range(1, 6))), Handler()
    handler.hold(1)

    async with running(stream, handler, in_flight=in_flight):
        await until(lambda: len(handler.calls) == in_flight)
        assert handler.calls == [[one] for one in range(1, in_flight + 1)]
        assert stream.taken <= in_flight + 1
        handler.let_go(1)
        await until(lambda: stream.acked == [1, 2, 3, 4, 5])


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


async def test_what_a_stage_refuses_is_kept_before_it_is_acknowledged():
    """A dead letter that the broker has not acknowledged is tried again; until then nothing is."""
    stream, handler, outbox = Stream([1, 2]), Handler(), Outbox()
    handler.refuses[2] = lambda delivery: Refused(delivery.message, "clock", "too old")
    outbox.failures = [NotDelivered("away") for _ in range(3)]

    async with running(stream, handler, outbox=outbox):
        await until(lambda: outbox.sent or stream.acked)
        assert len(outbox.failures) == 0
        await until(lambda: stream.acked == [1, 2])

    assert handler.calls == [[1, 2]]
    assert outbox.letters() == {2: "clock"}


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00",
        b"not avro",
        b"\xc3\x01",
        b"\x00\x00\x00\x00\x01x",
        b"\xc3\x01" + bytes(8),
        bytes(2_000_000),
    ],
)
async def test_garbage_becomes_a_dead_letter_with_its_origin(garbage):
    """Key, value and headers untouched, and where it came from; its batch mates are processed."""
    stream, handler, outbox = (
        Stream([1, event(2, garbage, headers=[("ce_id", b"x")]), 3]),
        Handler(),
        Outbox(),
    )

    async with running(stream, handler, outbox=outbox):
        await until(lambda: stream.acked == [1, 2, 3])

    (letter,) = outbox.sent
    headers = dict(letter.headers)
    assert handler.calls == [[1, 3]]
    assert (letter.topic, letter.key, letter.value, headers["ce_id"]) == (
        "dead.letters",
        b"key",
        garbage,
        b"x",
    )
    assert headers["__streams.errors.exception"] == b"codec"
    origin = [headers[f"__streams.errors.{name}"] for name in ("topic", "partition", "offset")]
    assert origin == [b"activity", b"3", b"2"]


@pytest.mark.parametrize(
    "value", [encode(PolicySettings(1, 2, 3)), encode(ActivityEvent("opened", 1, 5)) + b"more"]
)
async def test_a_record_of_another_kind_is_garbage_too(value):
    """Well-formed, but not what this topic carries."""
    stream, handler, outbox = Stream([event(2, value)]), Handler(), Outbox()

    async with running(stream, handler, outbox=outbox):
        await until(lambda: stream.acked == [2])

    assert outbox.letters() == {2: "codec"}
    assert handler.calls == []


async def test_a_tombstone_is_kept_without_a_value():
    """A deleted key has no place in an event topic."""
    stream, outbox = Stream(), Outbox()
    tombstone = event(2)
    tombstone.message.value = None
    stream.feed(tombstone)

    async with running(stream, Handler(), outbox=outbox):
        await until(lambda: stream.acked == [2])

    assert [letter.value for letter in outbox.sent] == [None]


async def test_a_dead_letter_that_dies_again_tells_its_latest_origin():
    """Replayed and refused once more: one set of reasons, not two."""
    again = event(
        2, b"x", headers=[("__streams.errors.offset", b"77"), ("__streams.errors.topic", b"old"), ("a", b"b")]
    )
    stream, outbox = Stream([again]), Outbox()

    async with running(stream, Handler(), outbox=outbox):
        await until(lambda: stream.acked == [2])

    names = [name for name, _ in outbox.sent[0].headers]
    assert len(names) == len(set(names))
    assert outbox.letters() == {2: "codec"}


@pytest.mark.parametrize("error", [Unavailable("away"), EngineError("401: who are you?")])
async def test_bytes_wait_for_a_registry_that_does_not_answer(error, monkeypatch):
    """They may be good: neither dead letters nor acknowledged until it does."""
    decode, errors = module.decode, [error, error, error]
    monkeypatch.setattr(module, "decode", lambda *args: decode(*args) if not errors else _raise(errors.pop()))
    stream, handler, outbox = Stream([1], [2]), Handler(), Outbox()

    async with running(stream, handler, outbox=outbox):
        await until(lambda: stream.acked == [1, 2])

    assert sorted(handler.done) == [1, 2]
    assert outbox.sent == []


@pytest.mark.parametrize("error", [RecursionError("deep"), KeyError("x")])
async def test_bytes_that_break_the_codec_are_dead_letters(error, monkeypatch):
    """As messages that break a stage."""
    monkeypatch.setattr(module, "decode", lambda *args: _raise(error))
    stream, outbox = Stream([1]), Outbox()

    async with running(stream, Handler(), outbox=outbox):
        await until(lambda: stream.acked == [1])

    assert outbox.letters() == {1: type(error).__name__}


@pytest.mark.parametrize("error", [RuntimeError("bug"), CodecError("bug")])
async def test_a_bug_in_keeping_a_dead_letter_stops_nothing(error):
    """Tried again, said aloud, and never a loop that silently acknowledges no more."""
    stream, outbox = Stream([event(1, b"x")], [2]), Outbox()
    outbox.failures = [error] * 3

    async with running(stream, Handler(), outbox=outbox):
        await until(lambda: stream.acked == [1, 2])

    assert outbox.letters() == {1: "codec"}


async def test_a_reason_that_is_no_utf_8_can_be_kept():
    """The text of an error may hold anything, also half a surrogate pair."""
    stream, handler, outbox = Stream([1]), Handler(), Outbox()
    handler.raises[1] = ValueError("\ud800")

    async with running(stream, handler, outbox=outbox):
        await until(lambda: stream.acked == [1])

    assert dict(outbox.sent[0].headers)["__streams.errors.message"] == b"\\ud800"


async def test_a_reason_is_kept_up_to_a_length():
    """An error that quotes a megabyte must not make a dead letter larger than the broker takes."""
    stream, handler, outbox = Stream([1]), Handler(), Outbox()
    handler.raises[1] = ValueError("x" * 2_000_000)

    async with running(stream, handler, outbox=outbox):
        await until(lambda: stream.acked == [1])

    assert sum(len(value) for _, value in outbox.sent[0].headers) < 20_000


async def test_only_a_message_too_large_for_the_dead_letters_is_cut():
    """Its reason, its size and its beginning are kept; its batch mates whole."""

    class Narrow(Outbox):
        """Takes up to 600 kB."""

        async def send_all(self, messages):
            messages = list(messages)
            if any(len(message.value) + len(message.key) > 600_000 for message in messages):
                raise TooLarge("dead.letters: too large")
            return await super().send_all(messages)

    large = event(2, b"x" * 900_000, key=b"k" * 900_000, headers=[("a", b"b" * 900_000)])
    stream, outbox = Stream([event(1, b"x" * 500_000), large]), Narrow()

    async with running(stream, Handler(), outbox=outbox):
        await until(lambda: stream.acked == [1, 2])

    whole, beginning = outbox.sent
    assert (len(whole.value), len(beginning.value), len(beginning.key)) == (500_000, 524_288, 4_096)
    assert dict(beginning.headers)["__streams.errors.size"] == b"900000"
    assert sum(len(value) for _, value in beginning.headers) < 1_000
    assert outbox.letters() == {1: "codec", 2: "codec"}


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
    """
    stream, handler = Stream([1], [2], [3]), Handler()
    handler.hold(2)

    async with running(stream, handler):
        await until(lambda: handler.done == [1, 3])
    await until(lambda: handler.cancelled)

    assert stream.acked == [1]
    assert handler.cancelled == [2]


async def test_an_end_while_an_engine_is_away_ends_the_trying():
    """A pause is no place to hide from a SIGTERM."""
    stream, handler = Stream([1]), Handler()
    handler.raises[1] = Unavailable("away")

    async with running(stream, handler):
        await until(lambda: len(handler.calls) > 3)
    calls = len(handler.calls)
    await until(lambda: not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()])

    assert len(handler.calls) <= calls + 1
    assert stream.acked == []


async def test_the_loop_runs_again_after_a_rebalance():
    """Afresh: what was open before is Kafka's to send again."""
    handler, before, after = Handler(), Stream([1], [2]), Stream([2], [3])
    handler.hold(2)
    async with running(before, handler) as loop:
        await until(lambda: before.acked == [1])

    handler.held.clear()
    again = asyncio.create_task(loop.run(after, handler))
    await until(lambda: after.acked == [2, 3])
    again.cancel()

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
    times = range(1_700_000_000_000, 1_700_000_002_000)

    assert [incoming(event(1, timestamp=at_ms / 1000.0)).timestamp_ms for at_ms in times] == list(times)


def _raise(error):
    raise error
