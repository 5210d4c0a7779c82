"""How a Faust app reads Kafka: committed records alone, in whatever form, and commits what was acknowledged.

Three things that Faust (0.15.3, `transport/drivers/aiokafka.py` and `transport/consumer.py`) has no setting
for:

- It reads uncommitted unless it is exactly-once itself: records of aborted transactions would be processed.
- It commits up to the first offset that it was not given. Behind offset 0 it does not notice a gap, such as
  an aborted transaction, and never commits again. The safe loop acknowledges in order, so the last one
  acknowledged is all there is to know.
- A batch that aiokafka cannot read stops its consumer (`batches`).
"""

from typing import Any

import faust
from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

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


class _Consumer(driver.Consumer):  # type: ignore[misc]
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
