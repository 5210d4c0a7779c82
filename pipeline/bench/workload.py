"""What every contender writes: one post each of many authors, into the timelines of their followers.

Followers are drawn from one crowd of readers, so the rows of a batch lie in random partitions, as in a real
graph. No author posts twice in a round: no contender can merge rows of one reader, and none finds a segment
in its cache. Drawn from a fixed seed, so each process makes the same workload instead of being sent it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.domain import hints, segments, snowflake
from pipeline.store.values import Push, TimelineEntry
from pipeline.wire.enums import EventType
from pipeline.wire.records import PostEvent

CROWD = 50_000
"""Readers there are, at least; a larger audience draws from four times its size."""

_SEED = 20_200_101
_BODY = "A post of ordinary length, with a link and a tag, as most of them have: https://tideline.example #b"

Row = tuple[int, int, int, int]
"""reader_id, post_id, author_id, hints: a row of `timeline_by_reader`."""


@dataclass(frozen=True, slots=True)
class Workload:
    """`posts` posts, each of another author with `followers` followers, in segments of `segment_size`."""

    posts: int
    followers: int
    segment_size: int

    @property
    def rows(self) -> int:
        """Timeline rows of one round."""
        return self.posts * self.followers

    @property
    def authors(self) -> range:
        """The authors, in the order in which they post."""
        return range(1, self.posts + 1)

    @property
    def crowd(self) -> range:
        """All readers there are."""
        return range(1, max(CROWD, 4 * self.followers) + 1)

    def segments(self, author_id: int) -> list[tuple[int, ...]]:
        """The followers of an author, segment by segment, each in the order in which the store keeps it."""
        drawn = iter(random.Random(_SEED + author_id).sample(self.crowd, self.followers))
        sizes = [size for _, size in segments.place([], self.followers, self.segment_size)]
        return [tuple(sorted(next(drawn) for _ in range(size))) for size in sizes]

    def events(self, at_ms: int) -> list[PostEvent]:
        """The posts of a round, all made at this time; imported, as the last contender is late with them."""
        return [
            PostEvent(
                type=EventType.PUBLISHED,
                post_id=post_id_of(author_id, at_ms),
                author_id=author_id,
                at=at_ms,
                visibility="public",
                region="eu",
                body=_BODY,
                media=(),
                imported=True,
            )
            for author_id in self.authors
        ]

    def pushes(self, at_ms: int, ttl_s: int) -> Iterator[Push]:
        """The same round as the store is given it: a push a segment, with one entry."""
        marks = hints.of_post(followers=self.followers, body=_BODY, media=0)
        for author_id in self.authors:
            entry = TimelineEntry(post_id_of(author_id, at_ms), author_id, marks, at_ms * 1000, ttl_s)
            for readers in self.segments(author_id):
                yield Push(readers, [entry])

    def table(self, at_ms: int) -> set[Row]:
        """Every row that must be in the table after the round."""
        return {
            (reader, entry.post_id, entry.author_id, entry.hints)
            for push in self.pushes(at_ms, ttl_s=0)
            for entry in push.entries
            for reader in push.readers
        }


def post_id_of(author_id: int, at_ms: int) -> int:
    """The id of an author's post of that round."""
    return snowflake.first_id(at_ms) + author_id
