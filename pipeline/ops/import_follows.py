"""Import a follow graph: lines `FOLLOWER FOLLOWED` become follow events of up to 1,000 followers each.

Edges are grouped by the author followed, because the graph stage then changes a segment once instead of once
an edge. Everything else is as if they were published one by one: same topic, same limits, same delivery, and
importing twice changes nothing: an import without a time of its own is as of 2020, so that it never undoes
what somebody did since then (`docs/ordering.md`). `tests/ops/test_import_follows.py` shows it on a real
Kafka.
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator

from pipeline.domain import fields
from pipeline.domain.intake import Accepted
from pipeline.kafka.ports import Outgoing
from pipeline.ops.lines import Line
from pipeline.ops.publish import LineBatch, RefusedLine, outgoing
from pipeline.wire.enums import EventType
from pipeline.wire.records import FollowEvent

SOURCE = "tideline/import"

HELD_EDGES = 1_000_000
"""Edges held for grouping at most, about 200 MB if no two are of one author; then all groups go out."""

_EVENTS_A_BATCH = 500


class FollowerGroups:
    """Followers by the author they follow, until there are enough for an event."""

    def __init__(self) -> None:
        self.edges = 0
        self._followers: dict[int, list[int]] = {}

    def add(self, follower: int, followed: int) -> bool:
        """Hold an edge; True when the author's event is full."""
        group = self._followers.setdefault(followed, [])
        group.append(follower)
        self.edges += 1
        return len(group) >= fields.FOLLOWERS

    def take(self, followed: int) -> tuple[int, ...]:
        """Let go of the followers held for an author, each named once."""
        group = self._followers.pop(followed)
        self.edges -= len(group)
        return tuple(dict.fromkeys(group))

    def authors(self) -> list[int]:
        """The authors there are edges of."""
        return list(self._followers)


def edge_of(line: Line) -> tuple[int, int] | RefusedLine | None:
    """The edge on a line, why there is none, or None for an empty line or a comment."""
    words = line.data.decode("ascii", "replace").split()
    if not words or words[0].startswith("#"):
        return None
    try:
        follower, followed = map(fields.identifier, words)
    except (ValueError, fields.FieldError):
        return RefusedLine(line.number, "", "must be FOLLOWER FOLLOWED, two ids")
    if follower == followed:
        return RefusedLine(line.number, "", "nobody follows themselves")
    return follower, followed


async def batches(
    blocks: AsyncIterable[list[Line]], *, at: int, now_ms: Callable[[], int]
) -> AsyncIterator[LineBatch]:
    """The follow events of these lines, as of event time `at`."""
    groups = FollowerGroups()
    async for block in blocks:
        full, refusals = [], []
        for line in block:
            match edge_of(line):
                case RefusedLine() as refusal:
                    refusals.append(refusal)
                case (follower, followed) if groups.add(follower, followed):
                    full.append((followed, groups.take(followed)))
        yield _batch(full, refusals, at, now_ms())
        if groups.edges >= HELD_EDGES:
            for batch in _rest(groups, at, now_ms()):
                yield batch
    for batch in _rest(groups, at, now_ms()):
        yield batch


def _rest(groups: FollowerGroups, at: int, now_ms: int) -> Iterator[LineBatch]:
    authors = groups.authors()
    for start in range(0, len(authors), _EVENTS_A_BATCH):
        part = [(author, groups.take(author)) for author in authors[start : start + _EVENTS_A_BATCH]]
        yield _batch(part, [], at, now_ms)


def _batch(
    follows: list[tuple[int, tuple[int, ...]]], refusals: list[RefusedLine], at: int, now_ms: int
) -> LineBatch:
    messages = [_message(FollowEvent(EventType.FOLLOWED, author, ids, at), now_ms) for author, ids in follows]
    return LineBatch(1, messages, refusals, sum(len(ids) for _, ids in follows))


def _message(event: FollowEvent, now_ms: int) -> Outgoing:
    return outgoing(Accepted("follows", b"%d" % event.author_id, event), source=SOURCE, now_ms=now_ms)
