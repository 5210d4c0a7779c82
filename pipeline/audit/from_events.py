"""Was each reader served the feed they must be? Asked of the running API, answered from the events alone.

The auditor pages through the whole feed of each reader as a client would and holds it against
`domain.audit`, which computes the feed from the events that were published. It is right when nothing is
unprocessed (`control.lag`) and nothing is published meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.audit import feeds
from pipeline.auth.tokens import TokenKeys
from pipeline.domain.audit import KINDS, Finding, Ledger, compare

CONCURRENCY = 8
"""Readers audited at once: enough to keep one API process busy, far too few to hurt it."""

MAX_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Example:
    """A finding, the reader it was found at, and the class of the post's author."""

    reader_id: int
    finding: Finding
    author_class: str


@dataclass(slots=True)
class AuditReport:
    """What the audit found. `posts` were served, on `paths`; `degraded` pages do not count as proof."""

    readers: int = 0
    pages: int = 0
    posts: int = 0
    degraded: int = 0
    paths: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether every reader was served exactly what they must be."""
        return not self.found.total() and not self.degraded

    def document(self) -> dict[str, Any]:
        """As JSON: a count for every kind of finding, and examples."""
        return {
            "readers": self.readers,
            "pages": self.pages,
            "posts": self.posts,
            "degraded_pages": self.degraded,
            "paths": dict(self.paths),
            **{kind: self.found[kind] for kind in KINDS},
            "examples": [
                {"reader_id": one.reader_id, "author_class": one.author_class, **asdict(one.finding)}
                for one in self.examples
            ],
        }


async def audit(
    api: str,
    readers: Iterable[int],
    ledger: Ledger,
    *,
    since_ms: int,
    class_of: Callable[[int], str],
    progress: Callable[[AuditReport], None] = lambda _: None,
    keys: TokenKeys | None = None,
    timeout_ms: int | None = None,
) -> AuditReport:
    """Audit these readers. `since_ms`: where the window starts; `class_of`: names an author's class.

    Raises TidelineError when the API cannot be asked: that is no verdict.
    """
    report, turns = AuditReport(), asyncio.Semaphore(CONCURRENCY)

    async def one(reader_id: int) -> None:
        async with turns:
            feed = await feeds.over_http(session, api, reader_id)
        findings = compare(ledger, reader_id, since_ms, feed.posts)
        report.readers += 1
        report.pages += feed.pages
        report.degraded += feed.degraded
        report.posts += len(feed.posts)
        report.paths.update(post.path for post in feed.posts)
        report.found.update(finding.kind for finding in findings)
        room = MAX_EXAMPLES - len(report.examples)
        report.examples += [Example(reader_id, each, class_of(each.author_id)) for each in findings[:room]]
        progress(report)

    async with feeds.session(keys, timeout_ms) as session:
        try:
            async with asyncio.TaskGroup() as group:
                for reader_id in readers:
                    group.create_task(one(reader_id))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
    return report
