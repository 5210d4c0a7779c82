"""How often each reader may ask (the rule is `domain.rates`)."""

from collections import OrderedDict
from collections.abc import Callable

from pipeline.domain.rates import Bucket, Rate, take

READERS_REMEMBERED = 50_000
"""Some 10 MB. Who is forgotten has a full bucket again: it takes as many other readers to get there."""


class Limits:
    """A bucket for each of the readers who asked last. `clock`: seconds, never back."""

    def __init__(self, rate: Rate, clock: Callable[[], float], most: int = READERS_REMEMBERED) -> None:
        self._rate, self._clock, self._most = rate, clock, most
        self._buckets: OrderedDict[int, Bucket] = OrderedDict()

    def wait(self, reader_id: int) -> float:
        """Count one request of this reader; the seconds to wait instead, if it is one too many."""
        bucket, wait = take(self._buckets.pop(reader_id, None), self._rate, self._clock())
        self._buckets[reader_id] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return wait
