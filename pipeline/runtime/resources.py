"""What the stages of one process share: the store, the outbox, views of compacted topics, and the clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.config.settings import Settings
from pipeline.kafka.emit import Emit
from pipeline.kafka.outbox import Outbox
from pipeline.kafka.registry import SchemaRegistry
from pipeline.kafka.view import Kept, TopicView
from pipeline.path import RECORDS
from pipeline.store.cassandra import open_stores
from pipeline.store.ports import Stores
from pipeline.topology import Topology
from pipeline.wire import codec


@dataclass(frozen=True, slots=True)
class Resources:
    """What the stages of one process share."""

    settings: Settings
    kafka: str
    topology: Topology
    stores: Stores
    outbox: Outbox
    stack: AsyncExitStack

    def view(
        self, topic: str, kept: Kept[Any] | None = None, *, lost: Callable[[], None] | None = None
    ) -> TopicView[Any]:
        """A topic, read to its end, or with `lost` from its end on, and followed until the process stops."""
        decode = partial(codec.decode, expected=RECORDS[topic])
        name = self.topology.names.topic(topic)
        view: TopicView[Any] = TopicView(self.kafka, name, decode, kept, lost=lost)
        view.start()
        self.stack.callback(view.close)
        return view

    def emit(self, stage: str) -> Emit:
        """How this stage speaks."""
        names = self.topology.names
        return Emit(self.outbox, names.stage(stage), names)

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this beside the stage until the process stops."""
        self.stack.callback(asyncio.create_task(work).cancel)


@asynccontextmanager
async def resources(
    settings: Settings, kafka: str, cassandra: str, topology: Topology
) -> AsyncIterator[Resources]:
    """Open the store and the outbox; close everything in reverse at the end."""
    names = topology.names
    if settings.schema_registry_url:
        codec.use(SchemaRegistry(settings.schema_registry_url, names).lookups())
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores(cassandra, names.keyspace(settings.keyspace)))
        outbox = await stack.enter_async_context(Outbox(kafka, names))
        yield Resources(settings, kafka, topology, stores, outbox, stack)
