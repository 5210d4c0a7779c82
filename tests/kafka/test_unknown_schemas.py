"""A message whose schema the registry does not tell yet holds up neither its batch nor those after it."""

import struct
import threading

from pipeline.errors import Unavailable
from pipeline.kafka import loop as module
from pipeline.wire import codec
from pipeline.wire.codec import CodecError, NotYet, Registry, encode
from pipeline.wire.records import ActivityEvent
from pipeline.wire.schemas import lineage
from tests.kafka.stream import Handler, Outbox, Stream, event, only_this_task, running, until


class Schemas:
    """A registry that knows what the test has put there; anything else raises `away`."""

    def __init__(self, monkeypatch, away):
        self.known, self.away, self.threads = set(), away, []
        shared = codec.Codec(Registry(self.schema, lambda kind: 0))
        monkeypatch.setattr(module, "decode", shared.decode)
        monkeypatch.setattr(module, "must_ask", shared.must_ask)

    def schema(self, schema_id):
        self.threads.append(threading.current_thread())
        if schema_id in self.known:
            return lineage(ActivityEvent).current
        raise self.away


def of_schema(schema_id, offset):
    """An event in the Confluent format."""
    return event(
        offset, b"\x00" + struct.pack(">I", schema_id) + encode(ActivityEvent("opened", offset, 5))[10:]
    )


async def test_others_go_on_while_one_waits(monkeypatch):
    """Its batch mates, and as many batches as come; what is acknowledged stays in order."""
    schemas = Schemas(monkeypatch, NotYet("not yet"))
    stream, handler, outbox = (
        Stream([1, of_schema(9, 2), 3], *([one] for one in range(4, 30))),
        Handler(),
        Outbox(),
    )

    async with running(stream, handler, in_flight=2, outbox=outbox):
        await until(lambda: len(handler.done) == 28)
        assert sorted(handler.done) == [1, *range(3, 30)]
        assert stream.acked == []
        schemas.known.add(9)
        await until(lambda: stream.acked == list(range(1, 30)))

    assert handler.done[-1] == 2
    assert outbox.sent == []
    assert threading.main_thread() not in schemas.threads


async def test_what_is_never_known_becomes_a_dead_letter(monkeypatch):
    schemas = Schemas(monkeypatch, NotYet("not yet"))
    stream, handler, outbox = Stream([1, of_schema(9, 2)]), Handler(), Outbox()

    async with running(stream, handler, outbox=outbox):
        await until(lambda: len(schemas.threads) > 2)
        schemas.away = CodecError("unknown schema id 9")
        await until(lambda: stream.acked == [1, 2])

    assert outbox.letters() == {2: "codec"}


async def test_one_unknown_id_does_not_hide_another_that_is_known(monkeypatch):
    schemas = Schemas(monkeypatch, NotYet("not yet"))
    schemas.known.add(8)
    stream, handler = Stream([of_schema(9, 1), of_schema(8, 2)]), Handler()

    async with running(stream, handler):
        await until(lambda: handler.done == [2])


async def test_a_registry_that_is_away_is_asked_once_a_round(monkeypatch):
    """Each question may take seconds."""
    schemas = Schemas(monkeypatch, Unavailable("away"))
    rounds, process = [], module.SafeLoop._processed

    async def counted(self, decoded, handle):
        rounds.append(len(schemas.threads))
        return await process(self, decoded, handle)

    monkeypatch.setattr(module.SafeLoop, "_processed", counted)
    stream, handler = Stream([of_schema(number, number) for number in range(1, 9)]), Handler()

    async with running(stream, handler):
        await until(lambda: len(rounds) > 4)

    assert rounds[:4] == [0, 1, 2, 3]


async def test_no_more_is_read_on_than_memory_has_room_for(monkeypatch):
    """Then the stage waits, as with an engine that is away."""
    schemas = Schemas(monkeypatch, NotYet("not yet"))
    monkeypatch.setattr(module, "MAX_OPEN_BYTES", 10 * module._MESSAGE_BYTES)
    stream, handler = Stream([of_schema(9, 1)], *([one] for one in range(2, 40))), Handler()

    async with running(stream, handler, in_flight=2):
        await until(lambda: len(handler.done) >= 7)
        assert len(handler.done) < 10
        schemas.known.add(9)
        await until(lambda: stream.acked == list(range(1, 40)))


async def test_as_many_batches_are_worked_on_as_ever(monkeypatch):
    """Those who wait for a schema do no work; all others do."""
    Schemas(monkeypatch, NotYet("not yet"))
    stream, handler = Stream([of_schema(9, 1)], *([one] for one in range(2, 9))), Handler()
    handler.hold(*range(2, 9))

    async with running(stream, handler, in_flight=2):
        await until(lambda: len(handler.calls) == 2)
        assert handler.calls == [[2], [3]]
        handler.let_go(3)
        await until(lambda: len(handler.calls) == 3)


async def test_the_end_comes_while_it_waits(monkeypatch):
    Schemas(monkeypatch, NotYet("not yet"))
    stream, handler = Stream([of_schema(9, 1)], [2]), Handler()

    async with running(stream, handler):
        await until(lambda: handler.done == [2])
    await until(only_this_task)

    assert stream.acked == []
