"""Numbering: posts whose id was made of what they say get one that is no other's. Part of the classify stage.

Reads      posts, post_reservations
Writes     post_reservations
Guarantee  two posts never get one id, also when two processes number them at once: who wants an id reserves
           it and then looks who else has; whoever sees another, or that it is taken, takes the next of its
           chain. One of the two does see the other, maybe both, and then the id is nobody's. Ids that authors
           gave themselves come first
Replay     gives the same id: what is stored says of which post it is, by author and digest, and an id that
           two have wanted is no one's for as long as reservations are kept
Budget     a write and two reads a batch, one of them beside the write; none where posts have ids of their own
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.domain import made_ids
from pipeline.kafka.messages import Delivery, Refused
from pipeline.store.ports import PostStore
from pipeline.store.values import Claim, Reservation
from pipeline.wire.enums import EventType, RefusalReason
from pipeline.wire.records import PostEvent

Post = Delivery[PostEvent]


@dataclass(slots=True)
class _Wanted:
    """A made post, the id it tries, and those that are left for it."""

    post: Post
    digest: int
    post_id: int
    others: Iterator[int]

    @property
    def reservation(self) -> Reservation:
        return Reservation(self.post_id, self.post.record.author_id, self.digest)


@dataclass(frozen=True, slots=True)
class Numbered:
    """A batch in its order, with the ids its posts have; what found none free; and whose the ids that were
    made are, as it was found.
    """

    batch: list[Post]
    refused: list[Refused]
    claims: dict[int, Claim]


async def number(posts: PostStore, batch: Sequence[Post], *, ttl_s: int) -> Numbered:
    """Give every post its id. `ttl_s`: how long an id is reserved, as long as a post may come again."""
    open_ = {n: _wanted(post) for n, post in enumerate(batch) if is_made(post.record)}
    settled = {n: post for n, post in enumerate(batch) if n not in open_}
    own = {post.record.post_id for post in settled.values() if post.record.type == EventType.PUBLISHED}
    refused: list[Refused] = []
    known: dict[int, Claim] = {}
    while open_:
        wanted = [one.reservation for one in open_.values()]
        claims, rivals = await asyncio.gather(
            posts.claims([one.post_id for one in wanted]),
            posts.reserve([one for one in wanted if one.post_id not in own], ttl_s=ttl_s),
        )
        known |= claims
        for n, one in list(open_.items()):
            if _is_mine(one.reservation, claims, rivals):
                settled[n] = replace(one.post, record=replace(one.post.record, post_id=one.post_id))
                del open_[n]
                continue
            try:
                one.post_id = next(one.others)
            except StopIteration:
                refused.append(
                    Refused(one.post.message, RefusalReason.OWNER, "every id of this post is another's")
                )
                del open_[n]
    return Numbered([settled[n] for n in sorted(settled)], refused, known)


def _is_mine(
    wanted: Reservation, claims: Mapping[int, Claim], rivals: Mapping[int, Collection[Reservation]]
) -> bool:
    """Whether the id is stored as this post's already, or free and wanted by nobody else."""
    claim = claims.get(wanted.post_id)
    if claim is not None and claim.author_id is not None:
        return (claim.author_id, claim.made_of) == (wanted.author_id, wanted.made_of)
    return rivals.get(wanted.post_id) == {wanted}


def is_made(event: PostEvent) -> bool:
    """Whether its id was made of what it says, and may be another post's."""
    return event.made and event.type == EventType.PUBLISHED


def _wanted(post: Post) -> _Wanted:
    digest = made_ids.digest_of_event(post.record)
    ids = made_ids.chain(post.record.post_id, digest)
    return _Wanted(post, digest, next(ids), ids)
