"""The ceiling: the rows of a round from memory, by the store's own batches, and nothing else.

No Kafka, no follower to be read, no task to be decoded: what the machine can write at best. Run as a process
of its own, `python -m pipeline.bench.fanout_ceiling POSTS FOLLOWERS SEGMENT_SIZE AT_MS TTL_S`; it says when
it is ready and begins on SIGCONT.
"""

import asyncio
import signal
import sys

from pipeline.bench.processes import say_ready
from pipeline.bench.workload import Workload
from pipeline.config.settings import Settings
from pipeline.local import lifeline
from pipeline.store.cassandra import open_stores


async def write(workload: Workload, at_ms: int, ttl_s: int) -> None:
    """Connect, say ready, and on SIGCONT write all rows in one call; the store bounds what is in flight."""
    settings = Settings()
    async with open_stores(settings.cassandra, settings.keyspace) as stores:
        pushes = list(workload.pushes(at_ms, ttl_s))
        say_ready()
        await asyncio.to_thread(signal.sigwait, [signal.SIGCONT])
        await stores.timelines.push(pushes)
        await asyncio.Event().wait()  # until SIGTERM: the CPU time of a process that has ended cannot be read


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCONT])  # before any thread, or one would take it
    lifeline.hold()
    posts, followers, segment_size, at, ttl = map(int, sys.argv[1:])
    asyncio.run(write(Workload(posts, followers, segment_size), at, ttl))
