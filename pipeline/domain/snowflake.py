"""Post ids: 41 bits of milliseconds since 2020-01-01T00:00Z, 22 bits of node and sequence.

The order of ids is the order of time, so a bound in time is a bound in ids: `first_id(t)` is the smallest id
a post of time t can have, and `id >= first_id(t)` says "posted at t or later".
"""

EPOCH_MS = 1_577_836_800_000
SEQUENCE_BITS = 22
MAX_ID = 2**63 - 1

BUCKET_MS = 30 * 86_400_000
"""Width of a partition of `posts_by_author` in time."""


def first_id(at_ms: int) -> int:
    """The smallest id of a post of this time (ms since the Unix epoch); 0 before 2020, MAX_ID after 2089."""
    return min(max(at_ms - EPOCH_MS, 0) << SEQUENCE_BITS, MAX_ID)


def time_ms(post_id: int) -> int:
    """When the post was made, in ms since the Unix epoch."""
    return (post_id >> SEQUENCE_BITS) + EPOCH_MS


def shift(bound: int, by_ms: int) -> int:
    """A bound moved in time, kept inside the ids there are."""
    return min(max(bound + (by_ms << SEQUENCE_BITS), 0), MAX_ID)


def bucket_of(post_id: int) -> int:
    """The bucket of `posts_by_author` that holds this id."""
    return (post_id >> SEQUENCE_BITS) // BUCKET_MS
