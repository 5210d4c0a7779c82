"""How a Faust app reads Kafka: committed records alone, in whatever form, and commits what was acknowledged.

Five things that Faust (0.15.3, `transport/drivers/aiokafka.py` and `transport/consumer.py`) has no setting
for:

- It reads uncommitted unless it is exactly-once itself: records of aborted transactions would be processed.
- It commits up to the first offset that it was not given. Behind offset 0 it does not notice a gap, such as
  an aborted transaction, and never commits again. The safe loop acknowledges in order, so the last one
  acknowledged is all there is to know.
- A batch that aiokafka cannot read stops its consumer (`batches`).
- It buffers thousands of messages, however large: a few hundred strangers' records would take all memory.
- It hands on every message in a task, beside three that wait for the end of everything: a stage took no more
  than 700 small messages a second on a busy machine, and was idle otherwise.
"""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any
from weakref import WeakSet

import faust
from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.services import WaitResults

from pipeline.kafka import batches


class _Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust has no types for others
    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # read when it starts
        return consumer

    def highwater(self, tp: TP) -> int:
        """Where what can be read ends: the last stable offset."""
        end: int = self._ensure_consumer().last_stable_offset(tp)
        return end


LARGE = 16 * 1024
"""Bytes of a value from which on messages count by their bytes; of others all fit that there may be."""

MAX_LARGE_BYTES = 32 * 1024 * 1024
"""Bytes of large messages that are not acknowledged, before the next one waits."""

_LOOKS, _LOOK_S = 200, 0.05
"""It waits 10 s at most: a message that somebody keeps for good is no reason to stand still."""


class _Begun:
    """A coroutine that has already run until it had to wait, for whoever goes on with it."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine, self._waits_for = coroutine, waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as thrown:
                    waits_for = self._coroutine.throw(thrown)
                else:
                    waits_for = self._coroutine.send(sent)
        except StopIteration as end:
            return end.value


class AtOnce:
    """Of a Faust consumer: hands on a message without a task, unless there is something to wait for."""

    should_stop: bool
    suspend_flow: Any

    async def wait_first(self, *awaited: Any, timeout: Any = None) -> WaitResults:
        """Wait until the first of these is done, as Faust does; most often it is done already."""
        first, *others = awaited
        if asyncio.iscoroutine(first) and not self.should_stop and not self.suspend_flow.is_set():
            try:
                begun = _Begun(first, first.send(None))
            except BaseException as end:
                for other in others:
                    other.close()
                if isinstance(end, StopIteration):
                    return WaitResults([first], [end.value], False)
                raise
            awaited = (begun, *others)
        found: WaitResults = await super().wait_first(*awaited, timeout=timeout)  # type: ignore[misc]
        return found


class _Consumer(AtOnce, driver.Consumer):  # type: ignore[misc]
    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._large: WeakSet[Any] = WeakSet()
        self._deliver: Any = self.callback  # type: ignore[has-type]
        self.callback = self._with_room

    async def _with_room(self, message: Any) -> None:
        """Hand a message on; a large one when most of those before it are done."""
        if len(message.value or b"") >= LARGE:
            for _ in range(_LOOKS):
                if sum(len(held.value) for held in self._large if not held.acked) < MAX_LARGE_BYTES:
                    break
                await asyncio.sleep(_LOOK_S)
            self._large.add(message)
        await self._deliver(message)

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def _new_offset(self, tp: TP) -> int | None:
        """What to commit of a partition: behind the newest acknowledged record; None when there is none."""
        acked = self._acked[tp]
        if not acked:
            return None
        newest: int = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return newest + 1

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps say nothing here."""


class Transport(driver.Transport):  # type: ignore[misc]
    """Kafka as our stages read it."""

    Consumer = _Consumer


class App(faust.App):  # type: ignore[misc]
    """A Faust app that reads Kafka as this module says."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        batches.install()
        super().__init__(*args, **settings)

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)
