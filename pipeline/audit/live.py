"""An audit of the running instance: many readers at once, and what was found as a table and as examples."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.audit.auditor import AuditLimits, Auditor, Behind, Serve, nobody_behind
from pipeline.audit.verdicts import Found, Labels, Verdict
from pipeline.clock import CLOCK
from pipeline.domain.audit import KINDS
from pipeline.domain.audit_rows import LATE, ROW_KINDS
from pipeline.domain.budgets import Tier
from pipeline.store.ports import Stores
from pipeline.topology import Topology

ALL_KINDS = (*KINDS, LATE, *ROW_KINDS)

WAITING = 256
"""Readers examined at once: most of them wait whether their findings go away."""

MAX_EXAMPLES = 20


@dataclass(slots=True)
class Tally:
    """What was found so far. `found`: by kind, then by class of the author, cohort and path."""

    readers: int = 0
    pages: int = 0
    degraded: int = 0
    posts: Counter[Labels] = field(default_factory=Counter)
    found: dict[str, Counter[Labels]] = field(default_factory=lambda: defaultdict(Counter))
    faults: int = 0
    examples: list[Found] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Take one reader in."""
        self.readers += 1
        self.pages += verdict.pages
        self.degraded += verdict.degraded
        self.posts.update(verdict.posts)
        for one in verdict.found:
            self.found[one.finding.kind][one.labels] += 1
        self.faults += len(verdict.faults)
        self.examples += verdict.faults[: MAX_EXAMPLES - len(self.examples)]

    @property
    def clean(self) -> bool:
        """Whether nothing was found but rows that are left over."""
        return not self.faults

    def lines(self) -> list[dict[str, Any]]:
        """A line for each class × cohort × path that occurs, with its posts and a count for every kind."""
        places = sorted({*self.posts, *(labels for counts in self.found.values() for labels in counts)})
        return [
            {
                **dict(zip(("author_class", "cohort", "path"), labels, strict=True)),
                "posts": self.posts[labels],
                **{kind: self.found[kind][labels] for kind in ALL_KINDS},
            }
            for labels in places
        ]

    def document(self) -> dict[str, Any]:
        """What `tideline audit --json` prints."""
        return {
            "clean": self.clean,
            "readers": self.readers,
            "pages": self.pages,
            "degraded_pages": self.degraded,
            "posts": self.posts.total(),
            **{kind: self.found[kind].total() for kind in ALL_KINDS},
            "breakdown": self.lines(),
            "examples": [_example(one) for one in self.examples],
        }


def _example(one: Found) -> dict[str, Any]:
    return {
        "reader_id": one.reader_id,
        "cohort": one.cohort,
        "kind": one.finding.kind,
        "post_id": one.finding.post_id,
        "author_id": one.finding.author_id,
        "author_class": one.author_class,
        "path": one.finding.path,
        "detail": one.finding.detail,
        "look_at": one.where,
        "next": one.next,
    }


def auditor_of(
    stores: Stores,
    topology: Topology,
    serve: Serve,
    patience_ms: int | None = None,
    behind: Behind = nobody_behind,
) -> Auditor:
    """An auditor of these feeds. `patience_ms`: a post's way to its readers; None: the largest lag budget."""
    spec = topology.routing
    tiers = [Tier(tier.name, tier.max_followers, tier.lag_budget) for tier in topology.tiers.values()]
    budget_ms = round(max(tier.lag_budget_s for tier in tiers) * 1000)
    patience = budget_ms if patience_ms is None else patience_ms
    limits = AuditLimits(spec.window_ms, spec.margin_ms, patience, cap=spec.cap)
    return Auditor(stores, serve, limits, tiers, CLOCK, behind)


async def audit(
    readers: AsyncIterator[int], examine: Callable[[int], Awaitable[Verdict]], tally: Tally
) -> None:
    """Examine these readers. Raises the first error of any of them: that is no verdict."""
    turns = asyncio.Semaphore(WAITING)

    async def one(reader_id: int) -> None:
        try:
            tally.add(await examine(reader_id))
        finally:
            turns.release()

    try:
        async with asyncio.TaskGroup() as group:
            async for reader_id in readers:
                await turns.acquire()
                group.create_task(one(reader_id))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
