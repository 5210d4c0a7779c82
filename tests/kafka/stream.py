"""A Faust stream as the safe loop sees it, a dead-letter outbox, and a handler: all steered by the test."""

import asyncio
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import pytest

from pipeline.kafka import loop as module
from pipeline.kafka.dead_letters import DeadLetters
from pipeline.kafka.loop import SafeLoop
from pipeline.wire.codec import encode
from pipeline.wire.records import ActivityEvent
from tests.stages.fakes import RecordingOutbox
from tests.waiting import eventually_async


def event(offset, value=None, *, headers=None, timestamp=1_700_000_000.123, key=b"key", topic="activity"):
    """A Faust event. By default its value is an `ActivityEvent` of a reader with the offset as id."""
    if value is None:
        value = encode(ActivityEvent("opened", offset, 5))
    message = SimpleNamespace(
        topic=topic, partition=3, offset=offset, key=key, value=value, headers=headers, timestamp=timestamp
    )
    return SimpleNamespace(message=message)


class Stream:
    """Yields the batches that were fed, each in the place of an event; `acked` has the offsets in order."""

    def __init__(self, *batches):
        self.batches, self.acked, self.taken = asyncio.Queue(), [], 0
        for batch in batches:
            self.feed(*batch)

    def feed(self, *events):
        """One more batch: offsets stand for events of their own."""
        self.batches.put_nowait([event(one) if isinstance(one, int) else one for one in events])

    async def events(self):
        while True:
            yield await self.batches.get()

    async def take(self, arriving, most, within_s):
        """In the place of `loop.take`: a batch as it was fed."""
        batch = await arriving.get()
        self.taken += 1
        return batch

    async def ack(self, acked):
        self.acked.append(acked.message.offset)


class Handler:
    """Holds each batch until the test lets one of its offsets go, and raises what the test has put there."""

    def __init__(self):
        self.calls, self.done, self.cancelled = [], [], []
        self.held, self.raises, self.refuses = {}, {}, {}

    def hold(self, *offsets):
        self.held |= {offset: asyncio.Event() for offset in offsets}

    def let_go(self, *offsets):
        for offset in offsets:
            self.held[offset].set()

    async def __call__(self, batch):
        offsets = [delivery.message.offset for delivery in batch]
        self.calls.append(offsets)
        try:
            for offset in offsets:
                if offset in self.held:
                    await self.held[offset].wait()
        except asyncio.CancelledError:
            self.cancelled += offsets
            raise
        for offset in offsets:
            errors = self.raises.get(offset)
            if errors:
                raise errors.pop(0) if isinstance(errors, list) else errors
        self.done += offsets
        return [
            self.refuses[offset](delivery)
            for offset, delivery in zip(offsets, batch, strict=True)
            if offset in self.refuses
        ]


class Outbox(RecordingOutbox):
    """Waits for its broker, fails with what the test has put there, then keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.failures, self.broker = [], asyncio.Event()
        self.broker.set()

    async def send_all(self, messages):
        messages = list(messages)
        await self.broker.wait()
        if self.failures:
            raise self.failures.pop(0)
        return await super().send_all(messages)

    def letters(self):
        """By offset of their origin, the reasons."""
        headers = [dict(message.headers) for message in self.sent]
        return {
            int(one["__streams.errors.offset"]): one["__streams.errors.exception"].decode() for one in headers
        }


@asynccontextmanager
async def running(stream, handler, *, in_flight=2, outbox=None, kept_elsewhere=(), loop=None, **more):
    """The loop, a new one unless it is given, processing the stream until the block ends; its pauses are
    over at once.
    """
    loop = loop or SafeLoop(
        {"activity": ActivityEvent},
        DeadLetters(outbox or Outbox()),
        batch=9,
        in_flight=in_flight,
        kept_elsewhere=kept_elsewhere,
        **more,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FIRST_PAUSE_S", 0.001)
        patch.setattr(module, "_MAX_PAUSE_S", 0.002)
        patch.setattr(module, "take", stream.take)
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


def only_this_task():
    """Whether the loop has left nothing behind."""
    return asyncio.all_tasks() == {asyncio.current_task()}
