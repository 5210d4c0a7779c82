"""What the safe loop cannot process: kept with its origin and its reason before it is acknowledged."""

import pytest

from pipeline.domain.admission import Refusal
from pipeline.errors import EngineError, Unavailable
from pipeline.kafka import loop as module
from pipeline.kafka.messages import Refused
from pipeline.kafka.ports import NotDelivered, TooLarge
from pipeline.wire.codec import CodecError, encode
from pipeline.wire.records import ActivityEvent, RoutingSettings
from tests import exported
from tests.kafka.stream import Handler, Outbox, Stream, event, running, until


async def test_what_a_stage_refuses_is_kept_before_it_is_acknowledged():
    """A dead letter that the broker has not acknowledged is tried again; until then nothing is."""
    stream, handler, outbox = Stream([1, 2]), Handler(), Outbox()
    handler.refuses[2] = lambda delivery: Refused(delivery.message, "clock", "too old")
    outbox.failures = [NotDelivered("away") for _ in range(3)]
    outbox.broker.clear()

    async with running(stream, handler, outbox=outbox):
        await until(lambda: handler.done)
        assert stream.acked == []
        outbox.broker.set()
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
    "value", [encode(RoutingSettings(1, 2, 3)), encode(ActivityEvent("opened", 1, 5)) + b"more"]
)
async def test_a_record_of_another_kind_is_garbage_too(value):
    """Well-formed, but not what this topic carries."""
    stream, handler, outbox = Stream([event(2, value)]), Handler(), Outbox()

    async with running(stream, handler, outbox=outbox):
        await until(lambda: stream.acked == [2])

    assert outbox.letters() == {2: "codec"}
    assert handler.calls == []


async def test_what_cannot_be_read_and_is_kept_elsewhere_is_passed_over():
    """What this stage itself refuses is kept all the same."""
    stream, handler, outbox = Stream([event(2, b"x"), 3, 4]), Handler(), Outbox()
    handler.refuses[4] = lambda delivery: Refused(delivery.message, "late", "")

    async with running(stream, handler, outbox=outbox, kept_elsewhere=["activity"]):
        await until(lambda: stream.acked == [2, 3, 4])

    assert outbox.letters() == {4: "late"}


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


async def test_a_dead_letter_says_when_its_message_came():
    """The broker's time for it; of one that was replayed, the time when it first came."""
    again = event(3, b"x", headers=[("tideline_appended_at", b"1600000000000"), ("a", b"b")])
    stream, outbox = Stream([event(2, b"x", headers=[("a", b"b")]), again]), Outbox()

    async with running(stream, Handler(), outbox=outbox):
        await until(lambda: stream.acked == [2, 3])

    times = [[value for name, value in one.headers if name == "tideline_appended_at"] for one in outbox.sent]
    assert times == [[b"1700000000123"], [b"1600000000000"]]


async def test_what_is_not_let_in_is_kept_with_its_reason():
    """Its neighbours are; a stage that is not the first of the topic leaves it to that one."""

    def admit(record, message):
        return Refusal("clock", "at: ahead") if message.offset == 2 else record

    stream, handler, outbox = Stream([1, 2, 3]), Handler(), Outbox()
    async with running(stream, handler, outbox=outbox, admit=admit):
        await until(lambda: stream.acked == [1, 2, 3])
    assert handler.calls == [[1, 3]]
    assert outbox.letters() == {2: "clock"}
    assert dict(outbox.sent[0].headers)["__streams.errors.message"] == b"at: ahead"

    stream, outbox = Stream([1, 2, 3]), Outbox()
    async with running(stream, Handler(), outbox=outbox, admit=admit, kept_elsewhere=["activity"]):
        await until(lambda: stream.acked == [1, 2, 3])
    assert outbox.letters() == {}


@pytest.mark.parametrize(("inputs", "entered"), [(["activity"], 1_700_000_000_123), ([], 1_600_000_000_000)])
async def test_age_counts_from_the_entry_of_the_event_as_the_broker_saw_it(inputs, entered):
    """On a topic that others write to that is the message itself, whatever its headers say."""
    seen = []

    async def handle(batch):
        seen.extend(delivery.entered_ms for delivery in batch)
        return []

    names = ("tideline_entered_at", "tideline_appended_at", "origin_ts")
    stream = Stream([event(2, headers=[(name, b"1600000000000") for name in names])])
    async with running(stream, handle, inputs=inputs):
        await until(lambda: stream.acked == [2])

    assert seen == [entered]


async def test_a_stage_sees_a_replayed_message_at_the_time_when_it_first_came():
    seen = []

    async def handle(batch):
        seen.extend(delivery.message.timestamp_ms for delivery in batch)
        return []

    old = event(2, headers=[("tideline_appended_at", b"1600000000000")])
    ahead = event(3, headers=[("tideline_appended_at", b"1800000000000")])
    stream = Stream([1, old, ahead])

    async with running(stream, handle):
        await until(lambda: stream.acked == [1, 2, 3])

    assert seen == [1_700_000_000_123, 1_600_000_000_000, 1_700_000_000_123]


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
        """Takes up to 700 kB."""

        async def send_all(self, messages):
            messages = list(messages)
            if any(len(message.value) + len(message.key) > 700_000 for message in messages):
                raise TooLarge("dead.letters: too large")
            return await super().send_all(messages)

    large = event(2, b"x" * 900_000, key=b"k" * 900_000, headers=[("a", b"b" * 900_000)])
    stream, outbox = Stream([event(1, b"x" * 600_000), large]), Narrow()

    async with running(stream, Handler(), outbox=outbox):
        await until(lambda: stream.acked == [1, 2])

    whole, beginning = outbox.sent
    assert (len(whole.value), len(beginning.value), len(beginning.key)) == (600_000, 524_288, 4_096)
    assert dict(beginning.headers)["__streams.errors.size"] == b"900000"
    assert sum(len(value) for _, value in beginning.headers) < 1_000
    assert outbox.letters() == {1: "codec", 2: "codec"}


def _raise(error):
    raise error


async def test_dead_letters_are_counted_by_the_topic_they_come_from_once_they_are_kept():
    """Refused by the broker twice, and then kept."""
    stream, handler, outbox = Stream([1, 2]), Handler(), Outbox()
    handler.refuses[2] = lambda delivery: Refused(delivery.message, "clock", "too old")
    outbox.failures = [NotDelivered("away") for _ in range(2)]
    counted = exported.Counted("tideline_dead_letters_total", topic="activity")

    async with running(stream, handler, outbox=outbox):
        await until(lambda: stream.acked == [1, 2])

    assert counted() == 1
