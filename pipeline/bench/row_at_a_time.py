"""The baseline: a plain Faust agent that writes one INSERT a follower, as most first versions do.

The best of its kind: a prepared statement, routed to its replica, the followers of a post awaited together,
`IN_FLIGHT` at a time. It reads the same posts from Kafka and the same followers from Cassandra; it has no
tasks, no batches, no fence, and acknowledges as Faust does by itself. This module alone beside the adapters
imports the driver, because what it measures is the driver used plainly.

Run as `python -m pipeline.bench.row_at_a_time GROUP`; it says when it has its partitions.
"""

import asyncio
import signal
import sys
import tempfile
from typing import Any

import faust
from cassandra.cluster import Cluster, Session

from pipeline.bench.processes import say_ready
from pipeline.config.settings import Settings
from pipeline.domain import hints
from pipeline.local import lifeline
from pipeline.wire.codec import decode
from pipeline.wire.records import PostEvent

IN_FLIGHT = 128
"""INSERTs under way at once: more won nothing."""


class Timelines:
    """The driver, awaited."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._segments = session.prepare("SELECT segments FROM author_stats WHERE author_id = ?")
        self._followers = session.prepare(
            "SELECT follower_id FROM followers_by_author WHERE author_id = ? AND segment = ?"
        )
        self._insert = session.prepare(
            "INSERT INTO timeline_by_reader (reader_id, post_id, author_id, hints) VALUES (?, ?, ?, ?)"
        )

    async def followers(self, author_id: int) -> list[int]:
        """All followers of an author."""
        rows = await self._execute(self._segments, author_id)
        segments = [await self._execute(self._followers, author_id, n) for n in range(rows[0].segments)]
        return [row.follower_id for rows in segments for row in rows]

    async def insert(self, reader_id: int, post_id: int, author_id: int, marks: int) -> None:
        """One row."""
        await self._execute(self._insert, reader_id, post_id, author_id, marks)

    def _execute(self, statement: Any, *values: int) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        landed = loop.create_future()
        self._session.execute_async(statement, values).add_callbacks(
            lambda rows: loop.call_soon_threadsafe(landed.set_result, rows),
            lambda error: loop.call_soon_threadsafe(landed.set_exception, error),
        )
        return landed


def agent_app(group: str, settings: Settings, timelines: Timelines, datadir: str) -> faust.App:
    """The agent in a Faust app with that consumer group."""
    app = faust.App(
        group,
        broker=f"kafka://{settings.kafka}",
        datadir=datadir,
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
    )

    async def fan_out(posts: Any) -> None:
        async for value in posts:
            post = decode(value, PostEvent)
            followers = await timelines.followers(post.author_id)
            marks = hints.of_post(followers=len(followers), body=post.body or "", media=0)
            for at in range(0, len(followers), IN_FLIGHT):
                await asyncio.gather(
                    *(
                        timelines.insert(follower, post.post_id, post.author_id, marks)
                        for follower in followers[at : at + IN_FLIGHT]
                    )
                )

    app.agent(app.topic("posts", value_type=bytes, value_serializer="raw"), name="fan_out")(fan_out)
    return app


async def run(group: str) -> None:
    """Run the agent until SIGTERM."""
    settings, stop = Settings(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    points = [point.rpartition(":") for point in settings.cassandra.split(",")]
    cluster = Cluster([(host, int(port)) for host, _, port in points], compression="lz4")
    timelines = await asyncio.to_thread(lambda: Timelines(cluster.connect(settings.keyspace)))
    with tempfile.TemporaryDirectory(prefix="tideline-") as datadir:
        app = agent_app(group, settings, timelines, datadir)

        async def assigned(*_: object, **__: object) -> None:
            say_ready()

        app.on_partitions_assigned.connect(assigned, weak=False)
        app.finalize()
        await app.start()
        await stop.wait()
        await app.stop()
    cluster.shutdown()


if __name__ == "__main__":
    lifeline.hold()
    asyncio.run(run(sys.argv[1]))
