"""Auditor: samples readers for ever and holds what they are served against what the tables say they must be.

Reads      a reader's whole feed, as a client would; the canonical tables (`expectation`); timeline_by_reader
Writes     nothing; findings are metrics and log lines
Guarantee  a finding is told only when it is still there after everything had its time: work inside its lag
           budget is no finding, and a system that moves while it is looked at makes none. What is missing
           while its tier is behind is told as late, for an hour at most
Replay     has no topic: it goes round all readers, in the store's own order
Budget     one reader a second at most, and SHARE of the time: what it takes longer for comes less often

What differs is found by `domain.audit` (pages) and `domain.audit_rows` (rows).
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from pipeline.audit.expectation import Expectation, Standing, expectation_of, standing_of
from pipeline.audit.reader_scan import readers_after
from pipeline.audit.verdicts import Found, Labels, Verdict, tell
from pipeline.clock import Clock
from pipeline.domain import budgets, snowflake
from pipeline.domain.audit import Feed, Finding, compare
from pipeline.domain.audit_rows import LATE, ROW_LEFT, ROW_MISSING, compare_rows, on_its_way
from pipeline.errors import TidelineError
from pipeline.store.ports import Stores
from pipeline.store.values import FIRST

SHARE = 0.02
"""Of the time, at most: looking at readers costs about as much work elsewhere as it takes here."""

LOOKUP_CONCURRENCY = 8
"""Of one process: enough to keep one API process busy, far too few to hurt it."""

SECOND_LOOK_MS = 3_000
"""After this a finding that is no lack of a post is looked for again: views and edges move in less."""

MAX_PAUSE_S = 4.0
"""Between two looks at a reader with findings, at most: false ones go away soon, true ones never."""

Serve = Callable[[int, int], Awaitable[Feed]]
"""The feed of a reader, down to a post id at least."""

Behind = Callable[[], Awaitable[Mapping[str, int]]]
"""By tier that has broken its lag budget, when its oldest unprocessed record was published (ms)."""


async def nobody_behind() -> Mapping[str, int]:
    """For who cannot know: what is missing is missing."""
    return {}


_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AuditLimits:
    """What has to have its time. `patience_ms`: a post's way to its readers, the largest lag budget.

    `edge_ms`: posts this close to the window's end are not asked for, as rows and pages drop them one by one.
    `cap`: posts that a session of pages may reach.
    """

    window_ms: int
    margin_ms: int
    patience_ms: int
    edge_ms: int = 60_000
    cap: int | None = None


Key = tuple[str, int]
"""What makes two findings of a reader the same one: kind and post."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look at a reader saw, begun at `at`; without the posts, as many looks may be waiting."""

    at: int
    seconds: float
    cohort: str
    pages: int
    degraded: int
    posts: Counter[Labels]
    found: Mapping[Key, tuple[Finding, str]]

    def faults(self) -> dict[Key, Finding]:
        """What has to go away."""
        return {key: finding for key, (finding, _) in self.found.items() if finding.kind != ROW_LEFT}


@dataclass(frozen=True, slots=True)
class Auditor:
    """Examines readers, any number at a time. `serve`: the feed as it is served. `behind`: tiers that are."""

    stores: Stores
    serve: Serve
    limits: AuditLimits
    tiers: Sequence[budgets.Tier]
    clock: Clock
    behind: Behind = nobody_behind
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LOOKUP_CONCURRENCY))

    async def examine(self, reader_id: int) -> Verdict:
        """Look at a reader, and look again until each finding has gone away or has had its time.

        Raises Unavailable when the store, TidelineError when the API cannot be asked: that is no verdict.
        """
        look = await self._look(reader_id)
        began, left, seconds, pause = look.at, look.faults(), look.seconds, 0.25
        behind: Mapping[str, int] = {}
        while left and look.at < (ripe := max(self._ripe(began, finding) for finding in left.values())):
            await self.clock.sleep(min(pause, max(ripe - self.clock.now_ms(), 1) / 1000))
            behind = await self.behind()  # before the look, which sees whatever is processed by then
            look, pause = await self._look(reader_id), min(2 * pause, MAX_PAUSE_S)
            seconds += look.seconds
            left = {key: finding for key, finding in look.faults().items() if key in left}
        return await self._verdict(reader_id, look, left.keys(), behind, seconds)

    def _ripe(self, since: int, finding: Finding) -> int:
        """When a finding first seen at `since` (ms) must have gone away."""
        if finding.kind not in ("missing", ROW_MISSING):
            return since + SECOND_LOOK_MS
        way = (
            self.limits.patience_ms
        )  # from the first look on as well: imported posts are older than their publish
        return max(since, snowflake.time_ms(finding.post_id) + self.limits.margin_ms) + way

    async def _look(self, reader_id: int) -> _Look:
        async with self.turns:
            began, at, limits = time.perf_counter(), self.clock.now_ms(), self.limits
            since = snowflake.first_id(at - limits.window_ms + limits.edge_ms)
            standing = await standing_of(self.stores, reader_id, since)
            feed = await self.serve(reader_id, standing.since)
            standing = _reached(standing, feed, limits.cap)
            served = [post.post_id for post in feed.posts]
            expected = await expectation_of(self.stores, standing, served, margin_ms=limits.margin_ms)
            return _seen(expected, feed, at, time.perf_counter() - began)

    async def _verdict(
        self,
        reader_id: int,
        look: _Look,
        confirmed: Collection[Key],
        behind: Mapping[str, int],
        seconds: float,
    ) -> Verdict:
        findings = [one for key, one in look.found.items() if key in confirmed or one[0].kind == ROW_LEFT]
        graphs = await self.stores.graph.author_graphs({finding.author_id for finding, _ in findings})
        found: list[Found] = []
        for finding, author_class in findings:
            tier = self._tier(graphs[finding.author_id].followers)
            if on_its_way(finding, behind.get(tier), look.at):
                if finding.kind == ROW_MISSING:
                    continue  # it is told by the post, where a page lacks it
                finding = replace(finding, kind=LATE)
            found.append(Found(reader_id, finding, author_class, look.cohort, tier))
        lacking = (one.labels for one in found if one.finding.kind in ("missing", LATE))
        posts = look.posts + Counter(lacking)
        return Verdict(reader_id, look.pages, look.degraded, posts, found, seconds)

    def _tier(self, followers: int) -> str:
        return budgets.tier_for(followers, self.tiers).name

    async def run(self, period_s: float = 1.0) -> None:
        """Go round all readers until cancelled."""
        async for reader_id in self._round(period_s):
            try:
                verdict = await self.examine(reader_id)
            except TidelineError as error:
                _log.warning("audit.impossible", reader=reader_id, error=error.message, next=error.hint)
                await self.clock.sleep(period_s)
                continue
            tell(verdict, self.clock.now_ms() / 1000)
            await self.clock.sleep(max(period_s, verdict.seconds / SHARE))

    async def _round(self, period_s: float) -> AsyncIterator[int]:
        """Every reader, again and again; it does not begin with the same ones after each restart."""
        place = self.clock.now_ms() * 0x9E3779B97F4A7C15 % 2**64 - 2**63
        while True:
            try:
                some = await readers_after(self.stores, place)
            except TidelineError as error:
                _log.warning("audit.impossible", error=error.message, next=error.hint)
                some = []
            for _, reader_id in some:
                yield reader_id
            if not some:
                await self.clock.sleep(period_s)
            place = some[-1][0] if some else FIRST


def _reached(standing: Standing, feed: Feed, cap: int | None) -> Standing:
    """What can be audited: a session that ended at its cap says nothing about what is older."""
    if cap is None or len(feed.posts) < cap:
        return standing
    return replace(standing, since=max(standing.since, min(post.post_id for post in feed.posts)))


def _seen(expected: Expectation, feed: Feed, at: int, seconds: float) -> _Look:
    """Pages and rows against what they must be."""
    standing, ledger, since_ms = expected.standing, expected.ledger, expected.since_ms
    findings = [
        *(
            _on_its_path(one, expected.path_of)
            for one in compare(ledger, standing.reader_id, since_ms, feed.posts)
        ),
        *compare_rows(ledger, standing.reader_id, since_ms, standing.rows, expected.path_of),
    ]
    posts = Counter(
        (str(expected.class_of(one.post_id, one.author_id)), standing.cohort, one.path) for one in feed.posts
    )
    found = {
        (one.kind, one.post_id): (one, str(expected.class_of(one.post_id, one.author_id))) for one in findings
    }
    return _Look(at, seconds, standing.cohort, feed.pages, feed.degraded, posts, found)


def _on_its_path(finding: Finding, path_of: Callable[[int], str]) -> Finding:
    return replace(finding, path=path_of(finding.post_id)) if finding.kind == "missing" else finding
