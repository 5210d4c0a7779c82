"""Erase: an account leaves everything (decision 25). Its beginning is part of the readers stage, its steps
are part of the retract stage.

Reads      accounts (the type erased); account.erasures, and every table of the account
Writes     accounts.erased, author.suspensions, reader.cohorts, page.changes; account.erasures; removals in
           every table that names the account; at last tombstones in the compacted topics that do
Guarantee  acknowledged, no stage takes anything about the account any more, and no page shows it. What a step
           needs to find its rows is removed by a later one, so a step that was cut off finds them again
Replay     removes again what is removed already
Budget     that of retract: rows a second, and none while a live tier is behind
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.clock import Clock
from pipeline.domain import containment, erasure, repair, snowflake
from pipeline.domain.edges import SegmentPlan
from pipeline.domain.erasure import FOREVER, ErasureStep
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery, Refused
from pipeline.kafka.ports import Handler
from pipeline.stages import changes, repairs
from pipeline.stages.erased import forgetting
from pipeline.stages.pace import Pace
from pipeline.stages.retract import Retract
from pipeline.stages.segment_changes import change_segment
from pipeline.store.ports import ReaderStore, Stores
from pipeline.store.values import FIRST, Edge, Retraction
from pipeline.wire.enums import EventType
from pipeline.wire.records import AccountEvent, ErasedAccount, ErasureTask

TASKS = "account.erasures"

POSTS = 250
"""Posts of one step: a body and its counters are removals on two partitions."""

FOLLOWEES = 32
"""Followees of one step: a fenced change of a segment each."""

READERS = 256
"""Readers of one step, each asked for in four tables."""


@dataclass(frozen=True, slots=True)
class Erasing:
    """What comes before the readers stage: who is erased is hidden at once, and on their way out."""

    store: ReaderStore
    emit: Emit
    handle_living: Handler

    async def handle(self, batch: Sequence[Delivery[Any]]) -> list[Refused]:
        """Begin with those who are erased; the stage gets what is about others. An event of the same batch
        that is about them is dropped, wherever it stands: nothing is in force after an erasure.
        """
        begun = [one for one in batch if _erases(one.record)]
        if not begun:
            return list(await self.handle_living(batch))
        await self._begin(begun)
        handle = forgetting(self.handle_living, {one.record.user_id for one in begun})
        return list(await handle([one for one in batch if not _erases(one.record)]))

    async def _begin(self, events: Sequence[Delivery[AccountEvent]]) -> None:
        """First nothing new is taken, then nothing is shown, then nothing is kept."""
        marks = [(one, erasure.mark(one.record.user_id)) for one in events]
        await self.emit.all(
            self.emit.message("accounts.erased", mark, ErasedAccount(mark, one.record.at), source=one)
            for one, mark in marks
        )
        ids = [one.record.user_id for one in events]
        hidden = await asyncio.gather(*(self.store.hide_erased(account) for account in ids))
        await self.emit.all(
            self.emit.message("author.suspensions", str(told.author_id), told, source=one)
            for one, told in zip(events, hidden, strict=True)
        )
        await self.emit.all(self.emit.tombstone("reader.cohorts", str(account)) for account in ids)
        await changes.tell(self.emit, events, readers=ids, authors=ids)
        await self.emit.all(
            self.emit.message(
                TASKS,
                str(one.record.user_id),
                erasure.first(one.record.user_id, one.record.at, FIRST),
                source=one,
            )
            for one in events
        )


def _erases(record: object) -> bool:
    return isinstance(record, AccountEvent) and record.type == EventType.ERASED


@dataclass(frozen=True, slots=True)
class Erase:
    """The steps. `life_ms`: how long rows are kept; `margin_ms`: by then every stage knows of the erasure."""

    stores: Stores
    emit: Emit
    pace: Pace
    clock: Clock
    life_ms: int
    margin_ms: int

    async def handle(self, batch: Sequence[Delivery[ErasureTask]]) -> None:
        """One step of each task; what is left of them goes back."""
        left = await asyncio.gather(*map(self._step, batch))
        await self.emit.all(
            self.emit.message(TASKS, str(task.account_id), task, source=cause)
            for cause, task in zip(batch, left, strict=True)
            if task is not None
        )

    async def _step(self, cause: Delivery[ErasureTask]) -> ErasureTask | None:
        task = cause.record
        if task == erasure.first(task.account_id, task.at, FIRST):
            known = cause.message.timestamp_ms + self.margin_ms  # by then all stages have heard
            await self.clock.sleep(max(0, min(known - self.clock.now_ms(), self.margin_ms)) / 1000)
        left: ErasureTask | None
        match ErasureStep(task.step):
            case ErasureStep.POSTS | ErasureStep.LATE:
                left = await self._posts(cause)
            case ErasureStep.AUDIENCE:
                left = await self._audience(cause)
            case ErasureStep.FOLLOWEES:
                left = await self._followees(task)
            case ErasureStep.RELATIONS:
                left = await self._relations(cause)
            case ErasureStep.MENTIONS:
                left = await self._mentions(cause)
            case ErasureStep.ACCOUNT:
                await self._account(cause)
                return None
        return erasure.following(task, FIRST) if left is None else left

    async def _posts(self, cause: Delivery[ErasureTask]) -> ErasureTask | None:
        task, posts = cause.record, self.stores.posts
        ids = [row.post_id for row in await posts.recent(task.account_id, 0, task.below, POSTS)]
        await self.pace.take(2 * len(ids))
        await posts.forget_posts(task.account_id, ids)
        await self.stores.counters.forget_counters(ids)
        await changes.tell(self.emit, [cause], posts=ids)
        return replace(task, below=ids[-1]) if len(ids) == POSTS else None

    async def _audience(self, cause: Delivery[ErasureTask]) -> ErasureTask | None:
        """A segment: its rows, newest posts first; when these are done its edges, and then itself."""
        task, author = cause.record, cause.record.account_id
        graph = self.stores.graph
        segment = max(task.after, 0)
        if segment >= (await graph.author_graphs([author]))[author].segments:
            return None
        readers = (await graph.followers(author, segment)).ids
        asked = repair.posts_a_step(len(readers))
        oldest = snowflake.first_id(self.clock.now_ms() - self.life_ms)
        rows, pushed = (
            await repairs.pushed(self.stores, author, oldest, task.below, asked) if readers else ([], [])
        )
        await self.pace.take(len(readers) * (len(pushed) + 1))
        if pushed:
            await self.stores.timelines.retract([Retraction(readers, pushed, FOREVER)])
        if rows and len(rows) == asked:
            return replace(task, after=segment, below=rows[-1].post_id)
        await graph.forget_edges(author, readers)
        await changes.tell(self.emit, [cause], readers=readers)
        await graph.forget_segment(author, segment)
        return replace(task, after=segment + 1, below=FOREVER)

    async def _followees(self, task: ErasureTask) -> ErasureTask | None:
        edges = await self.stores.graph.following(task.account_id)
        turn = sorted((edge for edge in edges if edge.author_id > task.after), key=lambda e: e.author_id)
        turn = turn[:FOLLOWEES]
        await self.pace.take(len(turn))
        await asyncio.gather(*map(self._leave, turn))
        return replace(task, after=turn[-1].author_id) if turn else None

    async def _leave(self, edge: Edge) -> None:
        """Out of the followee's segment, under its fence; the count is what the segments hold then."""
        graph, author = self.stores.graph, edge.author_id
        lives = await graph.segment_lives(author, edge.segment + 1)
        plan = SegmentPlan(remove=[edge.reader_id], check=True)
        await change_segment(graph, author, edge.segment, plan, lives[edge.segment])
        counted = (await graph.author_graphs([author]))[author]
        live = await graph.segment_lives(author, counted.segments)
        await graph.put_author_graphs([replace(counted, followers=sum(one or 0 for one in live))])

    async def _relations(self, cause: Delivery[ErasureTask]) -> ErasureTask | None:
        task = cause.record
        others = await self.stores.readers.related_after(task.account_id, task.after, READERS)
        await self._forget_in(cause, others)
        return replace(task, after=others[-1]) if others else None

    async def _mentions(self, cause: Delivery[ErasureTask]) -> ErasureTask | None:
        """Everybody's turn: readers who say something, or follow or have followed somebody."""
        task, stores = cause.record, self.stores
        listed = await asyncio.gather(
            stores.readers.mentions_after(task.after, READERS),
            stores.graph.readers_after(task.after, READERS),
        )
        turn = sorted({*listed[0], *listed[1]})[:READERS]
        await self._forget_in(cause, [reader for _, reader in turn if reader != task.account_id])
        return replace(task, after=turn[-1][0]) if turn else None

    async def _forget_in(self, cause: Delivery[ErasureTask], readers: Sequence[int]) -> None:
        account = cause.record.account_id
        await self.pace.take(len(readers))
        said, followed = await asyncio.gather(
            self.stores.readers.forget_mentions(account, readers),
            self.stores.graph.forget_edges(account, readers),
        )
        await changes.tell(self.emit, [cause], readers=said | followed)

    async def _account(self, cause: Delivery[ErasureTask]) -> None:
        """What hides the account goes last: by then there is nothing to hide."""
        account, stores = cause.record.account_id, self.stores
        await stores.posts.forget_index(account)
        await stores.timelines.forget_timeline(account)
        await stores.routes.forget_routes(account)
        await stores.graph.forget_graph(account)
        await self.emit.all(
            self.emit.tombstone(topic, key)
            for topic, keys in {
                "author.routes": [str(account)],
                "reader.cohorts": [str(account)],
                "routing.forced": [str(account)],
                "containment": containment.keys_of_author(account),
            }.items()
            for key in keys
        )
        await stores.readers.forget_account(account)
        await changes.tell(self.emit, [cause], readers=[account], authors=[account])
        await self.emit.all([self.emit.tombstone("author.suspensions", str(account))])


@dataclass(frozen=True, slots=True)
class Removals:
    """The retract stage: rows of others' timelines that must go, and accounts that must."""

    retract: Retract
    erase: Erase

    async def handle(self, batch: Sequence[Delivery[Any]]) -> list[Refused]:
        """Each by who knows it."""
        accounts = [one for one in batch if isinstance(one.record, ErasureTask)]
        others = [one for one in batch if not isinstance(one.record, ErasureTask)]
        refused, _ = await asyncio.gather(self.retract.handle(others), self.erase.handle(accounts))
        return refused
