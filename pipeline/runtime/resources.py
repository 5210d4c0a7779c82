"""What a process opens, and what the stages in it share: a port, and what it is in production.

The twin is `memory`: the wiring makes the same stages of both.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from pipeline.clock import CLOCK, Clock
from pipeline.config.settings import Settings
from pipeline.control.live_lag import LiveLag
from pipeline.kafka.emit import Emit
from pipeline.kafka.outbox import Outbox
from pipeline.kafka.ports import Kept, KeyedView
from pipeline.kafka.registry import SchemaRegistry
from pipeline.kafka.view import Follower, TopicView
from pipeline.path import RECORDS
from pipeline.store.cassandra import open_stores
from pipeline.store.ports import Stores
from pipeline.topology import Topology
from pipeline.wire import codec


class Resources(Protocol):
    """What a stage is made of besides rules."""

    @property
    def settings(self) -> Settings:
        """What the environment says."""

    @property
    def topology(self) -> Topology:
        """What runs, and how."""

    @property
    def stores(self) -> Stores:
        """The tables."""

    @property
    def clock(self) -> Clock:
        """The time."""

    def view(
        self, topic: str, kept: Kept[Any] | None = None, *, lost: Callable[[], None] | None = None
    ) -> KeyedView[Any]:
        """A topic, read to its end, or with `lost` from its end on, and followed until the process stops.

        `kept`: where its records go. `lost`: called when records have gone before they were read.
        """

    def emit(self, stage: str) -> Emit:
        """How this stage speaks."""

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this beside the stage until the process stops."""

    def tiers_busy(self) -> Callable[[], bool]:
        """What tells whether a live tier needs the store for itself now (`control.live_lag`)."""


@dataclass(frozen=True, slots=True)
class LiveResources:
    """Those of a process: clients of Kafka and Cassandra, and threads that follow topics."""

    settings: Settings
    kafka: str
    topology: Topology
    stores: Stores
    outbox: Outbox
    stack: AsyncExitStack
    clock: Clock = CLOCK
    views: dict[str, TopicView[Any]] = field(default_factory=dict)
    followers: list[Follower] = field(default_factory=list)

    def view(
        self, topic: str, kept: Kept[Any] | None = None, *, lost: Callable[[], None] | None = None
    ) -> TopicView[Any]:
        """As `Resources`. What keeps nothing of its own is shared by all who ask."""
        plain = kept is None and lost is None
        if plain and topic in self.views:
            return self.views[topic]
        decode = partial(codec.decode, expected=RECORDS[topic])
        name = self.topology.names.topic(topic)
        view = self._follower(name).view(TopicView(name, decode, kept, lost=lost))
        if plain:
            self.views[topic] = view
        return view

    def _follower(self, topic: str) -> Follower:
        """One that does not follow this topic yet: the first, but for a topic that is kept in two ways."""
        for follower in self.followers:
            if not follower.follows(topic):
                return follower
        follower = Follower(self.kafka)
        self.stack.callback(follower.close)
        self.followers.append(follower)
        return follower

    def emit(self, stage: str) -> Emit:
        """As `Resources`."""
        names = self.topology.names
        return Emit(self.outbox, names.stage(stage), names)

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """As `Resources`."""
        self.stack.callback(asyncio.create_task(work).cancel)

    def tiers_busy(self) -> LiveLag:
        """As `Resources`."""
        busy = LiveLag(self.kafka, self.topology, now_ms=self.clock.now_ms)
        self.stack.callback(busy.close)
        return busy


@asynccontextmanager
async def resources(
    settings: Settings, kafka: str, cassandra: str, topology: Topology
) -> AsyncIterator[LiveResources]:
    """Open the store and the outbox; close everything in reverse at the end."""
    names = topology.names
    if settings.schema_registry_url:
        codec.use(SchemaRegistry(settings.schema_registry_url, names).lookups())
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores(cassandra, names.keyspace(settings.keyspace)))
        outbox = await stack.enter_async_context(Outbox(kafka, names))
        yield LiveResources(settings, kafka, topology, stores, outbox, stack)
