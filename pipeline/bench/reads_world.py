"""Who reads what in `bench reads`: accounts beside the real graph, each following what a page is made of.

A reader follows 60 authors who are pushed and 20 who are pulled. Two others follow on their behalf, so that
the same posts are read by one path alone:

    reader         active, 60 pushed and 20 pulled authors     push and pull
    its pusher     active, the same 60                         the timeline alone
    its puller     dormant, all 80: nothing is pushed to them  no row in the timeline

The pulled authors are the largest of the graph. Three of them are above `pull_above`; the others are forced.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.bench.graph import FollowGraph
from pipeline.domain.intake import Accepted, Rejected, parse
from pipeline.errors import TidelineError
from pipeline.wire.enums import EventType
from pipeline.wire.records import AccountEvent, FollowEvent

PULLED, PUSHED = 20, 60
"""Authors a reader follows."""

PULLED_POOL, PUSHED_POOL = 40, 400
"""Authors there are of each kind: every author has many readers, as in a real feed."""

PULLED_POSTS, PUSHED_POSTS = 30, 5
"""Posts of each author before anything is measured."""

AUDIENCE = range(50, 300)
"""Followers a pushed author has in the graph: with those who are added, far below any threshold."""

_SEED = 20_120_704


@dataclass(frozen=True, slots=True)
class World:
    """`follows`: by reader, whom. `pulled`, `pushed`: the authors."""

    readers: Sequence[int]
    follows: Mapping[int, tuple[Sequence[int], Sequence[int]]]
    pushed: Sequence[int]
    pulled: Sequence[int]

    def pusher(self, reader: int) -> int:
        """Who follows the reader's pushed authors alone."""
        return reader + len(self.readers)

    def puller(self, reader: int) -> int:
        """Who follows the same authors, and is pushed nothing."""
        return reader + 2 * len(self.readers)

    def followers(self, author: int) -> list[int]:
        """The readers who follow an author."""
        return [reader for reader, both in self.follows.items() if any(author in each for each in both)]

    def accounts(self, at: int) -> Iterator[Accepted]:
        """Everybody but the pullers, who stay dormant."""
        for reader in self.readers:
            for account in (reader, self.pusher(reader)):
                event = AccountEvent(EventType.REGISTERED, account, "", False, at)
                yield Accepted("accounts", b"%d" % account, event)

    def edges(self, at: int) -> Iterator[Accepted]:
        """Who follows whom, an event an author."""
        followers: dict[int, list[int]] = defaultdict(list)
        for reader, (pushed, pulled) in self.follows.items():
            for author in pushed:
                followers[author] += [reader, self.pusher(reader), self.puller(reader)]
            for author in pulled:
                followers[author] += [reader, self.puller(reader)]
        for author, ids in followers.items():
            yield Accepted("follows", b"%d" % author, FollowEvent(EventType.FOLLOWED, author, tuple(ids), at))

    def authors_of_posts(self) -> list[int]:
        """The author of each post there is before the measurement, in the order in which they are posted."""
        authors = [*self.pulled] * PULLED_POSTS + [*self.pushed] * PUSHED_POSTS
        random.Random(_SEED).shuffle(authors)
        return authors


def draw(graph: FollowGraph, readers: int) -> World:
    """So many readers, with ids above those of the graph."""
    rng = random.Random(_SEED)
    pulled = graph.largest(PULLED_POOL)
    medium = sorted(author for author, ids in graph.followers.items() if len(ids) in AUDIENCE)
    pushed = rng.sample(medium, PUSHED_POOL)
    first = graph.accounts[-1] + 1
    ids = range(first, first + readers)
    follows = {reader: (rng.sample(pushed, PUSHED), rng.sample(pulled, PULLED)) for reader in ids}
    return World(ids, follows, pushed, pulled)


def post(number: int, author: int, at_ms: int) -> Accepted:
    """A post, as `tideline publish` would send it."""
    body = f"post {number} of author {author}"
    event = parse(
        {
            "topic": "posts",
            "type": "published",
            "author_id": author,
            "visibility": "public",
            "body": body,
            "created_at": at_ms,
        },
        default_topic=None,
    )
    if isinstance(event, Rejected):
        raise TidelineError(f"the bench drew a post nobody takes: {event}")
    return event
