"""What the stages ask of storage: six narrow ports, each with a Cassandra adapter and an in-memory twin.

Both are held to the same contract tests (`tests/contract`). Every write is idempotent and carries the time
of the event that caused it, so a repeated or late write changes nothing. An adapter retries what can be
retried and raises `StoreUnavailable` when it gives up: the caller must then not acknowledge its source. It
raises `StoreRefuses` at once for what will never be done.
Methods take batches, so that no stage awaits once per row. Times are ms, ids and bounds 64-bit integers.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.domain.engagement import Sketch
from pipeline.domain.merge import Row
from pipeline.domain.order import Version
from pipeline.errors import Unavailable, Unprocessable
from pipeline.store.values import (
    AuthorGraph,
    Claim,
    CounterWindow,
    Edge,
    Engaged,
    FirstFollowers,
    Followers,
    Hidden,
    Hide,
    Placed,
    Push,
    ReaderState,
    Relations,
    Reservation,
    Retraction,
    SegmentChange,
    StoredPost,
)
from pipeline.wire.records import AccountEvent, PostEvent, RouteRecord, Suspension


class StoreUnavailable(Unavailable):
    """The store did not answer within its retries; the outcome of the last write is unknown."""


class StoreRefuses(Unprocessable):
    """The store will never execute this: too many tombstones, too large. It is about its key."""


class GraphStore(Protocol):
    """`followers_by_author`, `following_by_reader`, and the graph's half of `author_stats`."""

    async def author_graphs(self, author_ids: Iterable[int]) -> dict[int, AuthorGraph]:
        """The graphs of these authors; an author nobody ever followed has 0 followers, 0 segments."""

    async def put_author_graphs(self, graphs: Sequence[AuthorGraph]) -> None:
        """Store the counts; the graph stage is their only writer, and an author's calls come in order.

        Segments only ever grow, so a late call cannot take any away: a lost one would never be pushed to.
        Of a graph that is not whole only the segments are stored; it is whole once followers have been.
        """

    async def put_first_followers(self, firsts: Sequence[FirstFollowers]) -> None:
        """Fill segments that no change has touched, without a fence: as of a time before any change, so that
        it may be repeated, also by two writers or after later changes, and ends the same. Not all or nothing.
        """

    async def segment_lives(self, author_id: int, segments: int) -> list[int | None]:
        """The live count of each of the author's segments 0..segments-1; None where none was ever written."""

    async def edges(self, author_id: int, reader_ids: Sequence[int]) -> dict[int, Edge]:
        """The edges from these readers to the author, by reader; also edges that were removed."""

    async def put_edges(self, edges: Sequence[Edge]) -> None:
        """Store edges, but for `caught_up`. The later `write_time` wins: a later version; of the same an
        unfollow over a follow, and a follow with a covered_from below NOT_COVERED over one without. Of equal
        ones each column keeps its larger value. A removed edge stays: it is one row a pair, and no tombstone.
        """

    async def put_caught_up(self, author_id: int, reader_ids: Sequence[int], bound: int) -> None:
        """A backfill has fulfilled this bound of these edges; a higher one stays."""

    async def members(self, author_id: int, segment: int, reader_ids: Sequence[int]) -> set[int]:
        """Which of these readers the segment holds now."""

    async def change_segment(self, change: SegmentChange) -> bool:
        """Add, remove, warm and cool followers and set the count, all or nothing, if it is still `seen`.

        False: another writer was faster, nothing has changed. `seen` None: the segment was never written.
        """

    async def followers(self, author_id: int, segment: int, *, warm: bool = False) -> Followers:
        """All followers in one segment; since when the warm ones are, only if asked: it nearly doubles the
        cost of the read, and a post that is pushed to everybody does not want it.
        """

    async def following(self, reader_id: int) -> list[Edge]:
        """The authors this reader follows now."""

    async def followees(self, reader_ids: Sequence[int], after: int, most: int) -> dict[int, list[Edge]]:
        """By reader, the edges to the next `most` authors with ids above `after`, in their order; also
        removed ones. Who has none is left out.
        """

    async def ever_followed(self, reader_ids: Sequence[int]) -> set[int]:
        """Which of these readers have an edge, also a removed one."""

    async def readers_after(self, place: int, limit: int) -> list[tuple[int, int]]:
        """The next `limit` readers with edges, also removed ones, after a place, as (place, reader), in the
        order of places. A reader's place is the same in every table; none is at FIRST.
        """

    async def forget_edges(self, author_id: int, reader_ids: Sequence[int]) -> set[int]:
        """Remove these readers' edges to the author, also removed ones, for ever; returns who had one."""

    async def forget_segment(self, author_id: int, segment: int) -> None:
        """Remove a segment of the author's followers, for ever."""

    async def forget_graph(self, account_id: int) -> None:
        """Remove all edges of the account as a reader, and its counts as an author, for ever."""


class PostStore(Protocol):
    """`posts`, `posts_by_author`, `posts_ahead` and `post_reservations`."""

    async def put_posts(self, posts: Iterable[Placed[PostEvent]], hints: Mapping[int, int]) -> None:
        """Apply published, edited and deleted events, in any order and any number of times: each as of its
        version (`order.of_post`), a publication whole, an edit what it names. A deletion is for ever.

        `hints`: by post_id, the 8 bytes of ranking hints of each published post.
        """

    async def claims(self, post_ids: Sequence[int]) -> dict[int, Claim]:
        """Whose these ids are; ids nobody has named are left out."""

    async def reserve(
        self, reservations: Sequence[Reservation], *, ttl_s: int
    ) -> dict[int, set[Reservation]]:
        """Reserve these ids, then look who wants them: by id one's own, and another if there is any."""

    async def put_ahead(self, posts: Sequence[Placed[PostEvent]], *, ttl_s: int) -> None:
        """Keep edits and deletions of posts that are not there yet, for this long."""

    async def ahead(self, post_id: int, author_id: int, most: int) -> list[Placed[PostEvent]]:
        """What this author sent ahead of the post: the newest events, at most `most`."""

    async def posts(self, post_ids: Sequence[int]) -> dict[int, StoredPost]:
        """The canonical posts that are known under these ids; an edit without its post is not a post."""

    async def recent(self, author_id: int, lo: int, hi: int, limit: int) -> list[Row]:
        """The author's newest posts with lo <= post_id < hi, newest first, at most `limit`. Those that are
        private or deleted as well, marked in their hints (`domain.hints`).
        """

    async def take_down(self, post_id: int, regions: Sequence[str], version: Version) -> None:
        """Hide a post in these regions ("*": everywhere), as of this version."""

    async def restore(self, post_id: int, regions: Sequence[str], version: Version) -> None:
        """Undo take-downs before this version; "*" undoes all of them."""

    async def forget_posts(self, author_id: int, post_ids: Sequence[int]) -> None:
        """Remove these posts of the author, for ever; the author's index keeps them."""

    async def forget_index(self, author_id: int) -> None:
        """Remove the author's index, for ever."""


class RouteStore(Protocol):
    """`author_routes`: the durable class history of each author, written by the classify stage alone."""

    async def routes(self, author_ids: Iterable[int]) -> dict[int, RouteRecord]:
        """The records of those authors that ever posted."""

    async def put_routes(self, records: Sequence[RouteRecord]) -> None:
        """Store the records; of an author's the one with the highest version stays."""

    async def forget_routes(self, author_id: int) -> None:
        """Remove the author's record, for ever."""


class TimelineStore(Protocol):
    """`timeline_by_reader`."""

    async def push(self, pushes: Sequence[Push]) -> int:
        """Write every entry into the timelines of its readers, but for those whose life is over
        (`ttl_s` <= 0); returns the rows written.

        Small pushes share batches. Bounded in flight and in bytes a batch; rows of one reader in one push
        share a mutation, readers of one batch share replicas. Rows go out in order, those of concurrent calls
        one call after another; returns after the last row is acknowledged.
        """

    async def retract(self, retractions: Sequence[Retraction]) -> int:
        """Take rows out as of their time; a row written later stays. Returns how many were written for it."""

    async def timeline(
        self, reader_id: int, lo: int, hi: int, limit: int, *, gone: bool = False
    ) -> list[Row]:
        """The reader's newest rows with lo <= post_id < hi, newest first, at most `limit`. `gone`: also those
        that were taken out, marked in their hints; so one read costs no more than what it asks for.
        """

    async def forget_timeline(self, reader_id: int) -> None:
        """Remove the reader's timeline, for ever."""


class ReaderStore(Protocol):
    """`reader_state`, `affinity_by_reader`, `hidden_by_reader`, `relations_by_reader`, and what moderation
    writes of `author_stats`.
    """

    async def put_accounts(self, events: Iterable[Placed[AccountEvent]]) -> None:
        """Store what these events set (`AccountEvent.sets`); of two that set the same the later counts."""

    async def put_seen(self, seen: Mapping[int, int]) -> None:
        """By reader, when (ms) they were last seen; an older time never replaces a newer one."""

    async def reader(self, reader_id: int) -> ReaderState:
        """The state of a reader; an unknown one has the defaults."""

    async def readers(self, reader_ids: Sequence[int]) -> dict[int, ReaderState]:
        """The states of these readers; unknown ones have the defaults."""

    async def put_cohorts(
        self, states: Sequence[ReaderState], accounts: Iterable[Placed[AccountEvent]] = ()
    ) -> None:
        """Store `active` and `covered_from`; of a reader's the one with the highest `cohort_at` stays. And
        accounts, as `put_accounts`: what is about one reader costs one write.
        """

    async def put_readers_caught_up(self, reader_ids: Sequence[int], bound: int, *, ttl_s: int) -> None:
        """A backfill has fulfilled this bound of these readers; a higher one stays."""

    async def put_engagements(self, engagements: Sequence[tuple[int, int, int]]) -> None:
        """Keep that readers engaged with authors: (reader_id, author_id, at); each counts once."""

    async def affinity(self, reader_id: int, most: int) -> dict[int, int]:
        """By author, how often this reader engaged with them in the last 30 days; reads at most `most`
        engagements, authors in the order of their ids.
        """

    async def engagements(self, reader_id: int, author_id: int, after: int, until: int, most: int) -> int:
        """How often the reader engaged with the author, after < at <= until; counts to `most`."""

    def not_seen_since(self, before: int) -> AsyncIterator[int]:
        """Active readers last seen, or registered, before this time (ms); walks through all readers."""

    async def readers_after(self, place: int, limit: int) -> list[tuple[int, int]]:
        """The next `limit` readers with an account after a place, as `GraphStore.readers_after`."""

    async def relate(
        self, reader_id: int, author_id: int, kind: str, present: bool, version: Version
    ) -> None:
        """Kind `block` or `mute`, as of this version of it; a block is stored on both sides."""

    async def relations(self, reader_id: int, others: Collection[int]) -> Relations:
        """Whom of these this reader must not see: costs what these cost, however many block the reader."""

    async def put_hidden(self, hides: Sequence[Hide]) -> None:
        """Hide posts from readers, or show them again: of a post the last version counts. What is hidden
        stays so for a year.
        """

    async def hidden(self, reader_id: int, since: int, most: int) -> Hidden:
        """The newest posts with ids from `since` on that this reader has hidden, each with its author. Looks
        at `most` of those that were ever hidden, and says from which id on it has seen all. With `since`
        inside the last year no hide of them has expired, so the read meets no tombstones.
        """

    async def hidden_among(self, reader_id: int, post_ids: Collection[int]) -> dict[int, int]:
        """Which of these posts the reader has hidden, each with its author."""

    async def set_suspended(self, author_id: int, suspended: bool, version: Version) -> None:
        """Suspend or reinstate an author, as of this version."""

    async def suspended_as_of(self, author_id: int) -> int:
        """The write time of what counts of an author's suspensions; 0 when there was none."""

    async def suspensions(self, author_ids: Sequence[int]) -> dict[int, Suspension]:
        """Those of these authors that ever were suspended, and below which bound rows may be gone."""

    async def suspended(self, author_ids: Sequence[int]) -> set[int]:
        """Which of these authors are suspended now."""

    async def hide_erased(self, account_id: int) -> Suspension:
        """Suspend an account for ever, as erased; returns what it is now, to be told."""

    async def related_after(self, account_id: int, after: int, limit: int) -> list[int]:
        """With whom the account has a block or a mute, on either side: the next `limit` in order of id."""

    async def mentions_after(self, place: int, limit: int) -> list[tuple[int, int]]:
        """The next `limit` readers with relations, hides or engagements, as `GraphStore.readers_after`."""

    async def forget_mentions(self, account_id: int, reader_ids: Sequence[int]) -> set[int]:
        """Remove what these readers' tables say of the account, for ever: blocks and mutes, hides of its
        posts, engagements. Returns whose tables said something.
        """

    async def forget_account(self, account_id: int) -> None:
        """Remove the account's state, relations, hides, engagements and standing as an author, for ever."""


class CounterStore(Protocol):
    """`engagement_by_post`, written by the counters stage alone."""

    async def engaged(self, post_ids: Iterable[int], since: int) -> dict[int, int]:
        """How many different readers engaged with each of these posts, summed over the hours from `since` on
        (`domain.engagement.hour_of`); posts nobody engaged with are left out.
        """

    async def sketches(self, windows: Sequence[CounterWindow]) -> dict[CounterWindow, Sketch]:
        """What is stored of these windows."""

    async def put_sketches(self, engaged: Sequence[Engaged]) -> None:
        """Store sketches that have grown; of a window's the largest stays, whatever the order of writes."""

    async def forget_counters(self, post_ids: Sequence[int]) -> None:
        """Remove everything counted of these posts, for ever."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The six ports together, as the composition root hands them out."""

    graph: GraphStore
    posts: PostStore
    routes: RouteStore
    timelines: TimelineStore
    readers: ReaderStore
    counters: CounterStore
