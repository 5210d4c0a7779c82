"""Numbering: posts whose id was made of what they say get one that is no other's. Part of the classify stage.

Reads      posts, post_reservations
Writes     post_reservations
Guarantee  two posts never get one id, also when two processes number them at once: who wants an id that is
           free reserves it and then looks who else has; whoever sees another takes the next of its chain. One
           of the two does see the other, maybe both, and then the id is nobody's. Ids that authors gave
           themselves come first
Replay     gives the same id: what is stored says of which post it is, by author and digest, and an id that
           two have wanted is no one's for as long as reservations are kept
Budget     a write and two reads a batch, and none where posts come with ids of their own
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.domain import made_ids
from pipeline.kafka.messages import Delivery, Refused
from pipeline.store.ports import PostStore
from pipeline.store.values import Reservation
from pipeline.wire.enums import EventType, RefusalReason
from pipeline.wire.records import PostEvent

Post = Delivery[PostEvent]


@dataclass(slots=True)
class _Wanted:
    """A made post and the ids that are left for it; the first is the one it tries."""

    post: Post
    digest: int
    ids: list[int]

    @property
    def reservation(self) -> Reservation:
        return Reservation(self.ids[0], self.post.record.author_id, self.digest)


async def number(posts: PostStore, batch: Sequence[Post], *, ttl_s: int) -> tuple[list[Post], list[Refused]]:
    """The batch, in its order, with the ids its posts have; and what found none free.

    `ttl_s`: how long an id is reserved, as long as a post may come again.
    """
    open_ = {n: _wanted(post) for n, post in enumerate(batch) if _is_made(post.record)}
    settled = {n: post for n, post in enumerate(batch) if n not in open_}
    own = {post.record.post_id for post in settled.values() if post.record.type == EventType.PUBLISHED}
    refused: list[Refused] = []
    while open_:
        claims = await posts.claims([one.ids[0] for one in open_.values()])
        mine, free = [], []
        for n, one in open_.items():
            claim = claims.get(one.ids[0])
            if claim is None or claim.author_id is None:
                free += [n] if one.ids[0] not in own else []
            elif (claim.author_id, claim.made_of) == one.reservation[1:]:
                mine.append(n)
        rivals = await posts.reserve([open_[n].reservation for n in free], ttl_s=ttl_s)
        mine += [n for n in free if rivals[open_[n].ids[0]] == {open_[n].reservation}]
        for n in mine:
            one = open_.pop(n)
            settled[n] = replace(one.post, record=replace(one.post.record, post_id=one.ids[0]))
        for n, one in list(open_.items()):
            one.ids.pop(0)
            if not one.ids:
                refused.append(
                    Refused(one.post.message, RefusalReason.OWNER, "every id of this post is another's")
                )
                del open_[n]
    return [settled[n] for n in sorted(settled)], refused


def _is_made(event: PostEvent) -> bool:
    return event.made and event.type == EventType.PUBLISHED


def _wanted(post: Post) -> _Wanted:
    digest = made_ids.digest_of_event(post.record)
    return _Wanted(post, digest, made_ids.chain(post.record.post_id, digest))
