"""Retract: rows that have no business in a timeline any more: unfollow, block, deletion, suspension.

Reads      fanout.retract; posts_by_author, author_routes, followers_by_author
Writes     removals in timeline_by_reader; what is left of a task back to the topic
Guarantee  no row goes that is relied upon: the reader does not follow, or has a bound above these posts; the
           author has one; or the post is gone. That is looked up when the rows go, not when the task is
           sent. Rows that stay do no harm: pages filter by what is true
Replay     removes as of the same time, and what was written later stays
Budget     its own; it is rate-limited, and waits while a live tier is behind
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.clock import Clock
from pipeline.domain import repair, snowflake
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Refused
from pipeline.stages import repairs
from pipeline.stages.pace import Pace
from pipeline.stages.repairs import RETRACT, Task, steps
from pipeline.store.ports import Stores
from pipeline.store.values import Retraction
from pipeline.wire.records import RepairTask


@dataclass(frozen=True, slots=True)
class Retract:
    """The retract stage. `life_ms`: how long rows are kept."""

    stores: Stores
    emit: Emit
    pace: Pace
    clock: Clock
    life_ms: int
    margin_ms: int

    async def handle(self, batch: Sequence[Task]) -> list[Refused]:
        """One step of each task; what is left of them goes back."""
        await steps(batch, self.emit, RETRACT, self._step)
        return []

    async def _step(self, task: RepairTask) -> list[RepairTask]:
        if task.hi > task.lo + 1:  # more than one post: those on their way are stored by then, and go as well
            wait_ms = task.at + self.margin_ms - self.clock.now_ms()
            await self.clock.sleep(min(max(wait_ms, 0), self.margin_ms) / 1000)
        below = await self._not_relied_upon(task)
        if not below:
            return []
        asked = repair.posts_a_step(len(below))
        oldest = snowflake.first_id(self.clock.now_ms() - self.life_ms)
        rows, posts = await repairs.pushed(self.stores, task.author_id, max(task.lo, oldest), task.hi, asked)
        if posts:
            await self.pace.take(len(below) * len(posts))
            await self.stores.timelines.retract(list(_retractions(below, posts, task.at * 1000)))
        left = repair.left_of_author(task, [row.post_id for row in rows], asked)
        return [left] if left else []

    async def _not_relied_upon(self, task: RepairTask) -> Mapping[int, int]:
        """By reader, the bound below which rows may go. Time has passed since the task was sent: the reader
        may be back and the post restored, and what was pushed since then must stay.
        """
        if task.reader_ids:
            edges = await self.stores.graph.edges(task.author_id, task.reader_ids)
            bounds = {
                r: edges[r].bound if r in edges and edges[r].follows else task.hi for r in task.reader_ids
            }
            return {reader: bound for reader, bound in bounds.items() if bound > task.lo}
        if task.hi == task.lo + 1:
            post = (await self.stores.posts.posts([task.lo])).get(task.lo)
            if post is None or not post.gone:
                return {}
        found = await self.stores.graph.followers(task.author_id, task.first_segment)
        return dict.fromkeys(found.ids, task.hi)


def _retractions(below: Mapping[int, int], posts: Sequence[int], timestamp_us: int) -> Iterator[Retraction]:
    """One for all readers of a bound; most have the same."""
    readers: dict[int, list[int]] = defaultdict(list)
    for reader, bound in below.items():
        readers[bound].append(reader)
    for bound, those in readers.items():
        yield Retraction(those, [post for post in posts if post < bound], timestamp_us)
