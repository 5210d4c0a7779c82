"""The records on the wire: one frozen class per Avro schema in `schemas/`, in path order.

Ids are signed 64-bit integers. Every time is in milliseconds since the Unix epoch unless it is a
*bound*, which is a post id (see `domain.snowflake`). `codec` turns these into bytes and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.wire.enums import EventType


class AuthorClass(StrEnum):
    """How the posts of an author reach readers: written ahead, per warm edge, or read on demand."""

    PUSH = "push"
    PARTIAL = "partial"
    PULL = "pull"


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """Topic `accounts`, key user_id. type: registered | updated | erased.

    `changed`: the settings an update names, the others stay; None: all of them.
    """

    type: str
    user_id: int
    region: str
    protected: bool
    at: int
    changed: tuple[str, ...] | None = None

    def sets(self, setting: str) -> bool:
        """Whether `region` or `protected` is as this event says from now on."""
        return self.type != EventType.UPDATED or self.changed is None or setting in self.changed


@dataclass(frozen=True, slots=True)
class FollowEvent:
    """Topic `follows`, key author_id. type: followed | unfollowed; at most 1,000 followers an event.

    Topic `edge.marks`, written by the pipeline itself and read by the same stage, so that an author's edges
    keep one writer. type: retracted | refilled (a block and its end), warmed | cooled (what engagement makes
    of an edge of a partial author).
    """

    type: str
    author_id: int
    follower_ids: tuple[int, ...]
    at: int


@dataclass(frozen=True, slots=True)
class PostEvent:
    """Topic `posts`, key author_id. type: published | edited | deleted.

    `at` is created_at for a published post. Fields an edit leaves out are None and stay as they were.
    `made`: the id was made of what the post says (`domain.made_ids`), and may be another's.
    """

    type: str
    post_id: int
    author_id: int
    at: int
    visibility: str | None = None
    region: str | None = None
    body: str | None = None
    media: tuple[Mapping[str, str], ...] | None = None
    imported: bool = False
    made: bool = False


@dataclass(frozen=True, slots=True)
class ActivityEvent:
    """Topic `activity`, key reader_id. type: opened | engaged | hidden | unhidden.

    All but opened have author_id and post_id; who hides a post does not want to see it. Topic `reader.marks`,
    written by the pipeline itself. type: lapsed (not seen for long, a dormant reader from now on) | rebuild
    (rows lost).
    """

    type: str
    reader_id: int
    at: int
    author_id: int | None = None
    post_id: int | None = None


@dataclass(frozen=True, slots=True)
class ModerationEvent:
    """Topic `moderation`, keyed by what it is about.

    type: blocked | unblocked | muted | unmuted (reader_id, author_id), suspended | reinstated
    (author_id), taken_down | restored (post_id, regions; no region means everywhere).
    """

    type: str
    at: int
    reader_id: int | None = None
    author_id: int | None = None
    post_id: int | None = None
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyEvent(ModerationEvent):
    """Topic `policy`, what `moderation` was called: read for one release. A ModerationEvent once admitted."""


@dataclass(frozen=True, slots=True)
class RoutingSettings:
    """Topic `routing.settings` (compacted, key `routing`): thresholds changed while running."""

    push_below: int
    pull_above: int
    at: int


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """From post `since_post_id` on, the author's posts are of this class, for this reason."""

    since_post_id: int
    author_class: AuthorClass
    reason: str


@dataclass(frozen=True, slots=True)
class RouteRecord:
    """Topic `author.routes` (compacted, key author_id): the author's classes in the window, oldest first."""

    author_id: int
    entries: tuple[RouteEntry, ...]
    latest_post_id: int

    @property
    def version(self) -> int:
        """Grows with every change of the author's record."""
        return max((self.latest_post_id, *(entry.since_post_id for entry in self.entries)))


@dataclass(frozen=True, slots=True)
class ReaderCohort:
    """Topic `reader.cohorts` (compacted, key reader_id): is the reader pushed to, since when."""

    reader_id: int
    active: bool
    since: int
    at: int


@dataclass(frozen=True, slots=True)
class Suspension:
    """Topic `author.suspensions` (compacted, key author_id): rows of posts below the bound may be gone.

    `erased`: the account is being erased. It is suspended for ever then, and has no pages of its own.
    """

    author_id: int
    suspended: bool
    retracted_before: int
    at: int
    erased: bool = False


@dataclass(frozen=True, slots=True)
class ErasedAccount:
    """Topic `accounts.erased` (compacted, key mark): an id that stays erased, by its `erasure.mark`."""

    mark: str
    at: int


@dataclass(frozen=True, slots=True)
class ErasureTask:
    """Topic `account.erasures`, key account_id: an account that leaves the tables, at one of the steps.

    `after`: the reader, segment or account that was done last; `below`: the post that was done last.
    """

    account_id: int
    step: str
    after: int
    below: int
    at: int


@dataclass(frozen=True, slots=True)
class ClassifiedPost:
    """Topic `posts.classified`, key author_id: what side effects subscribe to."""

    post_id: int
    author_id: int
    created_at: int
    visibility: str
    region: str
    author_class: AuthorClass
    followers: int
    producer: str = ""


@dataclass(frozen=True, slots=True)
class FanoutTask:
    """Topics `fanout.*`, partitioned by follower shard: push one post to segments first..last, inclusive.

    `deliveries`: followers in these segments when the task was made; 0: not known.
    """

    post_id: int
    author_id: int
    author_class: AuthorClass
    first_segment: int
    last_segment: int
    hints: int
    deliveries: int = 0


@dataclass(frozen=True, slots=True)
class RepairTask:
    """Topics `fanout.backfill` and `fanout.retract`: posts whose rows must be there, or must go.

    Posts `lo <= id < hi` of author_id, or of all whom the readers follow (author_id 0, going on after
    `after_author`); in the timelines of reader_ids, or of the followers in segments first..last. Work goes
    from new to old: what is left goes back with a lower `hi`. Rows are written as of `at`. When it is done, a
    backfill stands for everything below the bound `covered_from`; 0: for nothing.
    """

    author_id: int
    reader_ids: tuple[int, ...]
    first_segment: int
    last_segment: int
    lo: int
    hi: int
    at: int
    covered_from: int = 0
    after_author: int = 0


@dataclass(frozen=True, slots=True)
class PageChange:
    """Topic `page.changes`, key kind: what is kept in memory of these may be another now; told at `at`.

    kind: reader (state, edges, relations, hides), author (new posts), post (edited, deleted, taken down,
    restored); at most 1,000 ids a message.
    """

    kind: str
    ids: tuple[int, ...]
    at: int


@dataclass(frozen=True, slots=True)
class TimelineRequest:
    """Topic `timeline.requests`: ask the query agent for a page; the reply goes to `reply_to`."""

    request_id: str
    reader_id: int
    limit: int
    cursor: str | None
    mode: str
    explain: bool
    reply_to: str


@dataclass(frozen=True, slots=True)
class TimelineReply:
    """The answer to a TimelineRequest: an HTTP status and the same JSON the HTTP API gives."""

    request_id: str
    status: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LetterDone:
    """Topic `dead.letters.done` (compacted, key partition@offset): what became of a dead letter.

    action: replayed | dropped. `kept_at`: when it was kept, which tells it from another at its place.
    """

    action: str
    reason: str
    by: str
    at: int
    kept_at: int


@dataclass(frozen=True, slots=True)
class ForcedClass:
    """Topic `routing.forced` (compacted, key author_id): an operator's word; a tombstone takes it back."""

    author_id: int
    author_class: AuthorClass
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class CostSample:
    """Topic `costs` (compacted, key name): what a stage has measured, as `measure@stage`."""

    name: str
    value: float
    at: int


@dataclass(frozen=True, slots=True)
class Containment:
    """Topic `containment` (compacted, key by/kind/target): what is done to a part of the pipeline, in force.

    kind: shed | pull | rate | pace | freeze | path | defer | narrow | throttle (`domain.containment`).
    `until` 0: until it is released. `tier`: whose budget it protects; empty: what an operator did.
    """

    kind: str
    target: str
    author_class: AuthorClass
    rate_per_minute: int
    cause: str
    by: str
    since: int
    until: int
    tier: str = ""
    bytes_per_second: int = 0


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Topic `containment.journal`, key kind/target: what was done, by whom and why.

    event: started | extended | released | expired.
    """

    at: int
    event: str
    kind: str
    target: str
    cause: str
    by: str
    until: int


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast an error budget burnt over one window (s); None: too little of it has been seen."""

    window_s: int
    rate: float | None


@dataclass(frozen=True, slots=True)
class ShardHealth:
    """One partition of the topics that a stage reads; None: unknown."""

    topic: str
    partition: int
    status: str
    lag: int | None
    age_s: float | None


@dataclass(frozen=True, slots=True)
class StageHealth:
    """Topic `pipeline.health` (compacted, key stage): how a stage stands. None is unknown, and never 0.

    status: OK | WARN | ERR | STOP | STALL | REWIND | UNKNOWN. `pending`: deliveries of a tier not made.
    alert: page | ticket | nothing. `since`: when (ms) it came into its status; 0: not known. `workers`: in
    its group. `outage_s`: how long it had none, as far as it has not caught up since.
    """

    stage: str
    status: str
    lag: int | None
    pending: int | None
    age_s: float | None
    lag_budget_s: float | None
    burn: tuple[Burn, ...]
    alert: str
    shards: tuple[ShardHealth, ...]
    at: int
    since: int = 0
    workers: int | None = None
    outage_s: float = 0.0
