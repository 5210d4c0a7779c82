"""What a reader's feed must be, from the events alone, and how a feed that was served differs from it.

An oracle: it shares no rule with the read path (`coverage`, `merge`, `visibility`), so a mistake there cannot
hide here. It knows the definition only: a reader's own posts and, of every author the reader follows now,
those the reader may see, newest first. Everything is a register in which the latest event wins.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.wire.enums import EventType
from pipeline.wire.records import AccountEvent, ActivityEvent, FollowEvent, ModerationEvent, PostEvent

Event = AccountEvent | FollowEvent | PostEvent | ModerationEvent | ActivityEvent


@dataclass(slots=True)
class _Post:
    """A post as its events leave it; `author_id` 0 until it is published."""

    author_id: int = 0
    created_at: int = 0
    deleted: bool = False
    body: tuple[int, str] = (0, "")
    visibility: tuple[int, str] = (0, "public")
    taken_down: dict[str, int] = field(default_factory=dict)
    restored: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Served:
    """A post as a page showed it."""

    post_id: int
    author_id: int
    body: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed as its pages gave it, in their order; `degraded`: how many of the pages said they were."""

    posts: Sequence[Served]
    pages: int = 1
    degraded: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference, of one of the KINDS."""

    kind: str
    post_id: int
    author_id: int
    path: str = ""
    detail: str = ""


KINDS = ("missing", "duplicate", "forbidden", "extra", "misordered", "stale")
"""extra: there is no such post. stale: its body is not that of the last edit."""


class Ledger:
    """All events, in any order and any number of times; answers what each reader must see."""

    def __init__(self) -> None:
        self._posts: dict[int, _Post] = defaultdict(_Post)
        self._by_author: dict[int, set[int]] = defaultdict(set)
        self._follows: dict[int, dict[int, tuple[int, bool]]] = defaultdict(dict)
        self._latest: dict[tuple[str, int, int], tuple[int, bool]] = {}
        self._regions: dict[int, tuple[int, str]] = {}

    def add(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case FollowEvent():
                left = event.type == EventType.UNFOLLOWED
                for reader in event.follower_ids:
                    edges = self._follows[reader]
                    edges[event.author_id] = max(edges.get(event.author_id, (0, True)), (event.at, left))
            case PostEvent():
                self._add_post(event)
            case ModerationEvent():
                self._add_moderation(event)
            case AccountEvent() if event.sets("region"):
                known = self._regions.get(event.user_id, (0, ""))
                self._regions[event.user_id] = max(known, (event.at, event.region))

    def followees(self, reader_id: int) -> list[int]:
        """The authors this reader follows now."""
        return [author for author, (_, left) in self._follows[reader_id].items() if not left]

    def feed(self, reader_id: int, since_ms: int) -> list[int]:
        """The posts this reader must be shown, newest first, of those made at `since_ms` or later."""
        authors = {*self.followees(reader_id), reader_id}
        return sorted(
            (
                post
                for author in authors
                for post in self._by_author.get(author, ())
                if self._posts[post].created_at >= since_ms and self.forbidden(reader_id, post) is None
            ),
            reverse=True,
        )

    def forbidden(self, reader_id: int, post_id: int) -> str | None:
        """Why this reader must not be shown this post, or None."""
        post = self._posts[post_id]
        return next(self._reasons(reader_id, post), None)

    def author_of(self, post_id: int) -> int:
        """Whose post it is; 0 when none of this id was published."""
        return self._posts[post_id].author_id

    def body_of(self, post_id: int) -> str:
        """Its text after the last edit."""
        return self._posts[post_id].body[1]

    def _reasons(self, reader: int, post: _Post) -> Iterator[str]:
        author = post.author_id
        if post.deleted:
            yield "deleted"
        for region in ("*", self._regions.get(reader, (0, ""))[1]):
            undone = max(post.restored.get(region, 0), post.restored.get("*", 0))
            if region and post.taken_down.get(region, 0) > undone:
                yield f"taken down ({region})"
        if author == reader:
            return
        if self._is("suspended", 0, author):
            yield "suspended"
        if self._follows[reader].get(author, (0, True))[1]:
            yield "not followed"
        if self._is("blocked", reader, author) or self._is("blocked", author, reader):
            yield "blocked"
        if self._is("muted", reader, author):
            yield "muted"
        if post.visibility[1] == "private":
            yield "private"

    def _is(self, what: str, who: int, whom: int) -> bool:
        return self._latest.get((what, who, whom), (0, False))[1]

    def _add_post(self, event: PostEvent) -> None:
        post = self._posts[event.post_id]
        if event.type == EventType.PUBLISHED:
            post.author_id, post.created_at = event.author_id, event.at
            self._by_author[event.author_id].add(event.post_id)
        post.deleted = post.deleted or event.type == EventType.DELETED
        if event.body is not None:
            post.body = max(post.body, (event.at, event.body))
        if event.visibility is not None:
            post.visibility = max(post.visibility, (event.at, event.visibility))

    def _add_moderation(self, event: ModerationEvent) -> None:
        if event.type in (EventType.TAKEN_DOWN, EventType.RESTORED):
            post = self._posts[event.post_id or 0]
            times = post.taken_down if event.type == EventType.TAKEN_DOWN else post.restored
            for region in event.regions or ("*",):
                times[region] = max(times.get(region, 0), event.at)
            return
        what, begins = _RELATIONS[event.type]
        key = (what, event.reader_id or 0, event.author_id or 0)
        self._latest[key] = max(self._latest.get(key, (0, False)), (event.at, begins))


_RELATIONS: Mapping[str, tuple[str, bool]] = {
    EventType.BLOCKED: ("blocked", True),
    EventType.UNBLOCKED: ("blocked", False),
    EventType.MUTED: ("muted", True),
    EventType.UNMUTED: ("muted", False),
    EventType.SUSPENDED: ("suspended", True),
    EventType.REINSTATED: ("suspended", False),
}


def compare(ledger: Ledger, reader_id: int, since_ms: int, served: Sequence[Served]) -> list[Finding]:
    """Every difference between the feed this reader was served, page after page, and the one it must be."""
    found: list[Finding] = []
    seen: set[int] = set()
    for place, one in enumerate(served):
        problem = _problem(ledger, reader_id, one, seen)
        if problem is None and place and served[place - 1].post_id < one.post_id:
            problem = "misordered", f"after {served[place - 1].post_id}"
        if problem is not None:
            found.append(Finding(problem[0], one.post_id, one.author_id, one.path, problem[1]))
        seen.add(one.post_id)
    missing = [post for post in ledger.feed(reader_id, since_ms) if post not in seen]
    return found + [Finding("missing", post, ledger.author_of(post)) for post in missing]


def _problem(ledger: Ledger, reader_id: int, one: Served, seen: set[int]) -> tuple[str, str] | None:
    if one.post_id in seen:
        return "duplicate", ""
    if ledger.author_of(one.post_id) != one.author_id:
        return "extra", "no such post of this author"
    reason = ledger.forbidden(reader_id, one.post_id)
    if reason is not None:
        return "forbidden", reason
    return None if one.body == ledger.body_of(one.post_id) else ("stale", "an older body")
