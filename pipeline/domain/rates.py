"""How often one may ask: a bucket of tokens that fills at a steady rate, and holds no more than a burst."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second in the long run, and at most `burst` at once."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was left at a time (s)."""

    left: float
    at: float


def take(bucket: Bucket | None, rate: Rate, now: float) -> tuple[Bucket, float]:
    """Take one, at `now`: the bucket after it, and 0; or the bucket as it is, and the seconds to wait.

    None is a bucket nobody has taken from: full. Who is refused pays nothing, so that asking too often locks
    nobody out for longer.
    """
    left = float(rate.burst)
    if bucket is not None:
        now = max(now, bucket.at)  # a post may be late: what it takes must not be filled up twice
        left = min(left, bucket.left + (now - bucket.at) * rate.per_second)
    if left < 1:
        return Bucket(left, now), (1 - left) / rate.per_second
    return Bucket(left - 1, now), 0.0


def is_full(bucket: Bucket, rate: Rate, now: float) -> bool:
    """Whether it is as one that nobody has taken from."""
    return bucket.left + max(now - bucket.at, 0) * rate.per_second >= rate.burst
