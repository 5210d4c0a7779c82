"""Retract: rows that have no business in a timeline any more: unfollow, block, deletion, suspension.

Reads      fanout.retract; posts_by_author, author_routes, followers_by_author
Writes     removals in timeline_by_reader; what is left of a task back to the topic
Guarantee  none is needed: pages filter by what is true, whatever the rows say. It is clean-up, so it never
           removes a row that is relied upon: the edge or the author has a bound above these posts by then
Replay     removes as of the same time, and what was written later stays
Budget     its own; it is rate-limited, and waits while a live tier is behind
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.agents.pace import Pace
from pipeline.agents.repairs import Task, steps
from pipeline.domain import repair, snowflake
from pipeline.domain.policy import class_of
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Refused
from pipeline.records import AuthorClass, RepairTask
from pipeline.store.ports import Retraction, Stores

TOPIC = "fanout.retract"


@dataclass(frozen=True, slots=True)
class Retract:
    """The retract stage."""

    stores: Stores
    emit: Emit
    pace: Pace
    now_ms: Callable[[], int]
    window_ms: int

    async def handle(self, batch: Sequence[Task]) -> list[Refused]:
        """One step of each task; what is left of them goes back."""
        await steps(batch, self.emit, TOPIC, self._step)
        return []

    async def _step(self, task: RepairTask) -> RepairTask | None:
        routes = await self.stores.routes.routes([task.author_id])
        entries = routes[task.author_id].entries if task.author_id in routes else ()
        readers: Sequence[int] = task.reader_ids
        if not readers:
            readers = (await self.stores.graph.followers(task.author_id, task.first_segment)).ids
        if not readers:
            return None
        asked = repair.posts_a_step(len(readers))
        window_start = snowflake.first_id(self.now_ms() - self.window_ms)
        rows = await self.stores.posts.recent(task.author_id, max(task.lo, window_start), task.hi, asked)
        posts = [r.post_id for r in rows if class_of(r.post_id, entries) is not AuthorClass.PULL]
        if posts:
            await self.pace.take(len(readers) * len(posts))
            await self.stores.timelines.retract([Retraction(readers, posts, task.at * 1000)])
        return repair.left_of_author(task, [row.post_id for row in rows], asked)
