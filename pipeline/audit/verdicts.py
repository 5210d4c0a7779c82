"""What an audit says of a reader, and how the auditor tells it: metrics, and a line in the log a finding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from pipeline.domain.audit import Finding
from pipeline.domain.audit_rows import LATE, ROW_LEFT, ROW_MISSING
from pipeline.path import tier_stage
from pipeline.telemetry import metrics
from pipeline.wire.enums import DeliveryPath

LOGGED_FINDINGS = 20
"""Lines a reader at most: a timeline that is lost whole is one fault, not thousands."""

Labels = tuple[str, str, str]
"""Class of the author, cohort of the reader, path of the post (of a missing one: the path it is owed on)."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Found:
    """A finding and whom it concerns. `tier`: the fan-out tier the author is in now."""

    reader_id: int
    finding: Finding
    author_class: str
    cohort: str
    tier: str

    @property
    def fault(self) -> bool:
        """Whether it is one: rows that are left over are clean-up."""
        return self.finding.kind != ROW_LEFT

    @property
    def labels(self) -> Labels:
        """Where it is counted."""
        return self.author_class, self.cohort, self.finding.path

    @property
    def where(self) -> str:
        """Where to look first: the stage that should have brought the post, or the table it is gone from."""
        if self.finding.kind == LATE:
            return tier_stage(self.tier)
        if self.finding.kind == ROW_MISSING or (
            self.finding.kind == "missing" and self.finding.path == DeliveryPath.PUSH
        ):
            return f"{tier_stage(self.tier)} or timeline_by_reader"
        return "author.routes or the API" if self.finding.kind == "missing" else "the API"

    @property
    def next(self) -> str:
        """The command that tells more, or repairs."""
        match self.finding.kind:
            case "row_missing":
                return f"tideline rebuild {self.reader_id}"
            case "missing" | "late":
                return "tideline lag"
        return f"tideline timeline {self.reader_id} --explain"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One reader. `posts`: how many were served or missing; `seconds`: what looking at them took."""

    reader_id: int
    pages: int
    degraded: int
    posts: Mapping[Labels, int]
    found: Sequence[Found]
    seconds: float

    @property
    def faults(self) -> list[Found]:
        """Why the reader's pages and rows are not as they must be; none when they are."""
        return [one for one in self.found if one.fault]


def tell(verdict: Verdict, now_s: float) -> None:
    """Count a verdict and log its faults."""
    metrics.AUDIT_READERS.inc()
    if not verdict.faults:
        metrics.AUDIT_LAST_CLEAN.set(now_s)
    for labels, number in verdict.posts.items():
        metrics.AUDIT_POSTS.labels(*labels).inc(number)
    for one in verdict.found:
        metrics.AUDIT_FINDINGS.labels(one.finding.kind, *one.labels).inc()
    for one in verdict.faults[:LOGGED_FINDINGS]:
        _log.warning(
            f"audit.{one.finding.kind}",
            reader=one.reader_id,
            post=one.finding.post_id,
            author=one.finding.author_id,
            author_class=one.author_class,
            path=one.finding.path,
            detail=one.finding.detail,
            look_at=one.where,
            next=f"tideline audit --reader {one.reader_id}",
        )
    more = len(verdict.faults) - LOGGED_FINDINGS
    if more > 0:
        _log.warning("audit.more", reader=verdict.reader_id, findings=more)
