"""The twin of what a process opens: nothing of it leaves this process, and time is what its clock says.

`wiring` and `serving` make of it the very stages they make in production. Tests give it stores, senders and
clocks that fail, wait or jump; several of one `kafka` are several processes.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from pipeline.clock import CLOCK, Clock
from pipeline.config.settings import Settings
from pipeline.kafka.emit import Emit
from pipeline.kafka.memory import MemoryKafka, MemoryOutbox, MemoryView
from pipeline.kafka.ports import Kept, Sender
from pipeline.path import RECORDS
from pipeline.store.memory import memory_stores
from pipeline.store.ports import Stores
from pipeline.topology import Topology
from pipeline.wire.codec import decode


def broker(topology: Topology, clock: Clock = CLOCK, *, at_once: bool = True) -> MemoryKafka:
    """A broker with the topics of a topology."""
    topics = topology.topics.values()
    stated = {one.name: int(one.configs.get("max.message.bytes", 0)) for one in topics}
    largest = {name: size for name, size in stated.items() if size}
    return MemoryKafka({one.name: one.partitions for one in topics}, clock, largest=largest, at_once=at_once)


class MemoryResources:
    """As `Resources`. `busy`: whether live tiers need the store for themselves now."""

    def __init__(
        self,
        topology: Topology,
        *,
        clock: Clock = CLOCK,
        stores: Stores | None = None,
        kafka: MemoryKafka | None = None,
        sender: Sender | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.topology, self.clock, self.busy = topology, clock, False
        self.stores = stores or memory_stores(lambda: clock.now_ms() / 1000)
        self.kafka = kafka or broker(topology, clock)
        self.sender = sender or MemoryOutbox(self.kafka, topology.names)
        self.settings = settings or Settings()

    def view(
        self, topic: str, kept: Kept[Any] | None = None, *, lost: Callable[[], None] | None = None
    ) -> MemoryView[Any]:
        """As `Resources`."""
        decoding = partial(decode, expected=RECORDS[topic])
        return MemoryView(self.kafka, self.topology.names.topic(topic), decoding, kept, lost=lost)

    def emit(self, stage: str) -> Emit:
        """As `Resources`."""
        names = self.topology.names
        return Emit(self.sender, names.stage(stage), names)

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Nothing runs beside: who wants it done does it."""
        work.close()

    def tiers_busy(self) -> Callable[[], bool]:
        """As `Resources`."""
        return lambda: self.busy
