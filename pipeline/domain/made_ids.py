"""Ids of posts that come without one, made of what they say: the same line is the same post, however often
it is sent.

An id has its post's millisecond and 22 bits of a hash, which is not many: among 2,400 posts of one
millisecond two share an id with even odds. So every post has a chain of ids, `post_id_of(…, attempt)`, and
the classify stage gives it the first that is no other's (`stages.numbering`).
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

from pipeline.domain import snowflake
from pipeline.wire.records import PostEvent

ATTEMPTS = 64
"""Ids a post may try. Of 100,000 posts of one millisecond, which is 1 in 42 ids, none needs ten."""


def digest_of(author_id: int, created_at: int, body: str, media: Sequence[Mapping[str, str]]) -> int:
    """64 bits that stand for a post: who wrote it, when, and what it says."""
    digest = blake2b(struct.pack(">qq", author_id, created_at), digest_size=8)
    for text in (body, *(text for item in media for pair in sorted(item.items()) for text in pair)):
        data = text.encode()
        digest.update(len(data).to_bytes(4, "big") + data)
    return int.from_bytes(digest.digest(), "big", signed=True)


def digest_of_event(event: PostEvent) -> int:
    """That of a publication. Its time is that of its id: `at` may have been moved to the broker's time."""
    created_at = snowflake.time_ms(event.post_id)
    return digest_of(event.author_id, created_at, event.body or "", event.media or ())


def post_id_of(digest: int, created_at: int, attempt: int = 0) -> int:
    """The id that a post tries at this attempt. All are of its millisecond."""
    bits = digest % 2**64
    if attempt:
        again = blake2b(struct.pack(">qQ", digest, attempt), digest_size=8)
        bits = int.from_bytes(again.digest(), "big")
    return snowflake.first_id(created_at) | bits >> (64 - snowflake.SEQUENCE_BITS) or 1  # 0 is no id


def chain(post_id: int, digest: int) -> Iterator[int]:
    """The ids to try for a post that came with one of them: that one, then those after it. Nearly every post
    has its first, so the others are made when they are asked for.
    """
    yield post_id
    created_at = snowflake.time_ms(post_id)
    ids = [post_id_of(digest, created_at, attempt) for attempt in range(ATTEMPTS)]
    yield from ids[ids.index(post_id) + 1 :] if post_id in ids else ids
