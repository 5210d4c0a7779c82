"""What the stages stand on in these tests: deliveries, an outbox that keeps what it is given, and crashes.

The stores are the in-memory twins (`pipeline.store.memory`), held to the same contract as Cassandra's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from pipeline.errors import EngineError
from pipeline.kafka.messages import Delivery, Incoming
from pipeline.kafka.ports import NotDelivered, Outgoing
from pipeline.path import RECORDS
from pipeline.store.ports import Stores, StoreUnavailable
from pipeline.wire.codec import decode


def deliver(
    record: Any, *, offset: int = 0, at_ms: int = 0, topic: str = "", headers: Sequence[Any] = ()
) -> Any:
    """A record as the loop hands it to a stage; the broker's time and the publish are `at_ms`."""
    return Delivery(record, Incoming(topic, 0, offset, b"", b"", headers, at_ms), at_ms)


class MemoryQuotas:
    """The quotas of producers; `fault` is raised by the next calls."""

    def __init__(self) -> None:
        self.rates: dict[str, float] = {}
        self.fault: EngineError | None = None

    async def all(self) -> dict[str, float]:
        if self.fault:
            raise self.fault
        return dict(self.rates)

    async def put(self, rates: Mapping[str, float | None]) -> None:
        if self.fault:
            raise self.fault
        merged = self.rates | rates
        self.rates = {name: float(rate) for name, rate in merged.items() if rate is not None}


class RecordingOutbox:
    """Keeps messages in the order they were sent, as `Outbox` would; `journal` gets a name for each topic."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.sent: list[Outgoing] = []
        self.journal = [] if journal is None else journal

    async def send_all(self, messages: Iterable[Outgoing]) -> int:
        """Keep them all; returns how many."""
        kept = list(messages)
        self.journal += dict.fromkeys(message.topic for message in kept)
        self.sent += kept
        return len(kept)

    def caused(self) -> list[Outgoing]:
        """What was sent but for the changes of pages, which every event has."""
        return [message for message in self.sent if message.topic != "page.changes"]

    def of(self, topic: str) -> list[Any]:
        """The records sent to a topic, decoded; None for a tombstone."""
        found = [message.value for message in self.sent if message.topic == topic]
        return [None if value is None else decode(value, RECORDS[topic]) for value in found]


class Fault:
    """The end of a process: the `at`-th call of a wrapped port fails, and every one after it.

    how: `before` its effect, `after` it (the outcome is unknown to the caller), or `half` through its rows.
    `watch` looks at the tables after every call that succeeded. at 0: nothing ever fails.
    """

    def __init__(
        self, at: int = 0, how: str = "before", watch: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.at, self.how, self.watch = at, how, watch
        self.calls: list[str] = []

    def wrap(self, port: Any) -> Any:
        """The port, failing when its time has come."""
        return _Port(port, self)

    def stores(self, stores: Stores) -> Stores:
        """All six."""
        return Stores(*(self.wrap(getattr(stores, name)) for name in Stores.__slots__))

    async def call(
        self, name: str, method: Callable[..., Awaitable[Any]], args: Sequence[Any], named: Any
    ) -> Any:
        """One call of a port."""
        await asyncio.sleep(0)  # a store is never instant: whatever else is ready has its turn
        self.calls.append(name)
        number = len(self.calls)
        error = NotDelivered if name == "send_all" else StoreUnavailable
        if self.at and number > self.at:
            raise error("dead")
        if number == self.at:
            if self.how == "after":
                await method(*args, **named)
            elif (
                self.how == "half"
                and name.startswith(("put_", "send_"))
                and not isinstance(args[0], (dict, int))
            ):
                rows = list(args[0])
                await method(rows[: len(rows) // 2], *args[1:], **named)
            raise error(self.how)
        result = await method(*args, **named)
        if self.watch is not None:
            await self.watch()
        return result


class _Port:
    def __init__(self, port: Any, fault: Fault) -> None:
        self._port, self._fault = port, fault

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        async def call(*args: Any, **named: Any) -> Any:
            return await self._fault.call(name, method, args, named)

        return call
