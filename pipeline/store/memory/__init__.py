"""In-memory twins of the six stores, for tests of rules and stages: the same outcome, no server.

They keep to the same contract tests as the Cassandra adapters. Their tables are made of `cells` in which the
last writer wins, so that late, repeated and shuffled writes end as they do in Cassandra.
"""

import time

from pipeline.store.memory.cells import Clock
from pipeline.store.memory.counters import MemoryCounters
from pipeline.store.memory.graph import MemoryGraph
from pipeline.store.memory.posts import MemoryPosts
from pipeline.store.memory.readers import MemoryReaders
from pipeline.store.memory.routes import MemoryRoutes
from pipeline.store.memory.timelines import MemoryTimelines
from pipeline.store.ports import Stores


def memory_stores(clock: Clock = time.time) -> Stores:
    """Six empty stores. `clock`: seconds, by which rows with a time to live expire."""
    return Stores(
        graph=MemoryGraph(clock),
        posts=MemoryPosts(clock),
        routes=MemoryRoutes(),
        timelines=MemoryTimelines(clock),
        readers=MemoryReaders(clock),
        counters=MemoryCounters(clock),
    )
