"""What crosses the ports of storage: plain values, one for each thing a table or a write is about.

Times are ms, ids and bounds 64-bit integers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from pipeline.domain.engagement import Sketch
from pipeline.domain.order import Version
from pipeline.domain.visibility import EVERYWHERE, is_private
from pipeline.wire.records import AccountEvent, PostEvent

NOT_COVERED = 2**63 - 1
"""`Edge.covered_from` while the push side is not known to hold the edge: everything is pulled."""

_RANKS = 4
"""Of each version of an edge: not covered, covered, removed; and one that is not used."""

FIRST = -(2**63)
"""Where the readers of a store begin (`readers_after`)."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A reader's relation to an author: the last event that changed it, and from where on it is pushed.

    `at`, `place`: when that event happened (ms), and its offset. `warm_at`, `retracted_at`: the newest event
    of that kind (ms). `caught_up`: the last `covered_from` that a backfill has fulfilled. `seen`: the write
    time of the stored version that this one is made from; 0: of none.
    """

    reader_id: int
    author_id: int
    follows: bool
    at: int
    segment: int
    covered_from: int = NOT_COVERED
    warm_since: int | None = None
    warm_at: int = 0
    retracted_at: int = 0
    caught_up: int = 0
    place: int = field(default=0, compare=False)
    seen: int = field(default=0, compare=False)

    @property
    def bound(self) -> int:
        """Below this bound posts have to be pulled; 0 once a backfill has written what was missing."""
        return caught_up_bound(self.covered_from, self.caught_up)

    @property
    def version(self) -> Version:
        """The last event that changed it, among all about this edge."""
        return Version(self.at, self.place)

    @property
    def write_time(self) -> int:
        """The order of an edge's versions: that of their events; then a follow, covered or not, an unfollow.

        A version made from a stored one comes after it, whatever its event: marks such as a retraction move
        an edge on without another. The two lowest bits tell the three apart, so that of the place one million
        are told apart within a millisecond.
        """
        rank = 2 if not self.follows else 1 if self.covered_from < NOT_COVERED else 0
        after = (self.seen // _RANKS + 1) * _RANKS if self.seen else 0
        return max(Version(self.at, self.place * _RANKS).write_time, after) + rank


def caught_up_bound(covered_from: int, caught_up: int) -> int:
    """What is left of a bound, given the last one that a backfill has fulfilled."""
    return 0 if covered_from < NOT_COVERED and caught_up >= covered_from else covered_from


@dataclass(frozen=True, slots=True)
class AuthorGraph:
    """How many followers an author has, in how many segments.

    `whole`: False while the first followers are being written; the segments may hold some without an edge.
    """

    author_id: int
    followers: int = 0
    segments: int = 0
    whole: bool = True


class FirstFollowers(NamedTuple):
    """The followers of the first event about an author, by segment."""

    author_id: int
    segments: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class SegmentChange:
    """One fenced change of one segment: applied only while its live count is still `seen`.

    `warm`: members and since which bound their edge is warm; None cools it.
    """

    author_id: int
    segment: int
    seen: int | None
    add: tuple[int, ...] = ()
    remove: tuple[int, ...] = ()
    warm: tuple[tuple[int, int | None], ...] = ()

    @property
    def live(self) -> int:
        """The count after the change."""
        return (self.seen or 0) + len(self.add) - len(self.remove)


@dataclass(frozen=True, slots=True)
class Followers:
    """One segment, column-wise: the follower ids, and since which bound the warm ones are, if asked for."""

    ids: tuple[int, ...]
    warm_since: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class StoredPost:
    """The canonical post as the page shows and filters it. `edited_at`: of the last edit that counts;
    `was_private`: it is, or was once.
    """

    post_id: int
    author_id: int
    created_at: int
    visibility: str
    region: str
    body: str
    media: tuple[Mapping[str, str], ...]
    edited_at: int | None
    deleted: bool
    taken_down: frozenset[str]
    was_private: bool = False

    @property
    def gone(self) -> bool:
        """Whether nobody but its author may see it: no row is due."""
        return self.deleted or EVERYWHERE in self.taken_down or is_private(self.visibility)


class Claim(NamedTuple):
    """Whose a post id is, None while nothing was published under it; `ahead`: events came before the post.

    `made_of`: the digest of the post that its id was made for, None for ids of their authors' own.
    """

    author_id: int | None
    ahead: bool
    made_of: int | None = None


class Reservation(NamedTuple):
    """A post that wants an id which was made for it."""

    post_id: int
    author_id: int
    made_of: int


Placeable = TypeVar("Placeable", AccountEvent, PostEvent)


class Placed(NamedTuple, Generic[Placeable]):
    """An event and its place on the partition (`domain.order`)."""

    event: Placeable
    place: int


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """A post to push: the row, when its event happened (us, for USING TIMESTAMP), and its life (s)."""

    post_id: int
    author_id: int
    hints: int
    timestamp_us: int
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Push:
    """Each of these entries goes to each of these readers."""

    readers: Sequence[int]
    entries: Sequence[TimelineEntry]


@dataclass(frozen=True, slots=True)
class Retraction:
    """These posts leave the timelines of these readers, unless they were written after `timestamp_us`."""

    readers: Sequence[int]
    post_ids: Sequence[int]
    timestamp_us: int


@dataclass(frozen=True, slots=True)
class ReaderState:
    """What is known of a reader's account and cohort.

    `active` None: never seen, which counts as dormant. `covered_from` and `caught_up` as on an edge;
    `cohort_at`: the version of the cohort (ms).
    """

    reader_id: int
    region: str = ""
    protected: bool = False
    registered_at: int | None = None
    last_seen: int | None = None
    active: bool | None = None
    covered_from: int = NOT_COVERED
    cohort_at: int = 0
    caught_up: int = 0

    @property
    def bound(self) -> int:
        """Below this bound everything has to be pulled for this reader."""
        return caught_up_bound(self.covered_from, self.caught_up) if self.active else NOT_COVERED


class CounterWindow(NamedTuple):
    """Where engagements with a post are counted: an hour of event time, and a partition of `activity`."""

    post_id: int
    hour: int
    part: int


@dataclass(frozen=True, slots=True)
class Engaged:
    """Who engaged in a window, as a sketch, and how long that is kept (s)."""

    window: CounterWindow
    sketch: Sketch
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Hide:
    """A reader hides a post, or wants to see it again, as of a version."""

    reader_id: int
    author_id: int
    post_id: int
    hidden: bool
    version: Version


@dataclass(frozen=True, slots=True)
class Hidden:
    """Posts that a reader has hidden, with their authors: all with ids from `since` on."""

    posts: Mapping[int, int]
    since: int


@dataclass(frozen=True, slots=True)
class Relations:
    """The authors a reader must not see, by reason."""

    blocks: frozenset[int] = frozenset()
    blocked_by: frozenset[int] = frozenset()
    mutes: frozenset[int] = frozenset()

    def blocked(self, author_id: int) -> bool:
        """Whether a block stands between the two, on either side."""
        return author_id in self.blocks or author_id in self.blocked_by

    def hide(self, author_id: int) -> bool:
        """Whether nothing of this author is shown to the reader."""
        return self.blocked(author_id) or author_id in self.mutes
