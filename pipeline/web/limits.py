"""How often each reader may ask (the rule is `domain.rates`), in whatever order readers come.

A bucket that is full again may be forgotten: nobody can tell. While all places are taken by others, those who
have none share: each reader has a cell among a fixed number, so they wait longer, never shorter. A new bucket
begins with what its cell holds.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable

from pipeline.domain.rates import Bucket, Rate, is_full, take

READERS_REMEMBERED = 50_000
"""Some 10 MB."""

CELLS = 4_096


class RateLimits:
    """A bucket for each of the readers who asked lately. `clock`: seconds, never back."""

    def __init__(
        self,
        rate: Rate,
        clock: Callable[[], float],
        most: int = READERS_REMEMBERED,
        cells: int = CELLS,
    ) -> None:
        self._rate, self._clock, self._most = rate, clock, most
        self._buckets: OrderedDict[int, Bucket] = OrderedDict()
        self._cells: list[Bucket | None] = [None] * cells
        self._seed = secrets.token_bytes(16)  # nobody can choose whom they share with

    def __len__(self) -> int:
        """How many readers are remembered."""
        return len(self._buckets)

    def wait(self, reader_id: int) -> float:
        """Count one request of this reader; the seconds to wait instead, if it is one too many."""
        now = self._clock()
        self._forget_the_full(now)
        mine = self._buckets.pop(reader_id, None)
        if mine is None:
            cell = self._cell(reader_id)
            mine = self._cells[cell]
            if len(self._buckets) >= self._most:
                self._cells[cell], wait = take(mine, self._rate, now)
                return wait
        self._buckets[reader_id], wait = take(mine, self._rate, now)
        return wait

    def _forget_the_full(self, now: float) -> None:
        while self._buckets and is_full(next(iter(self._buckets.values())), self._rate, now):
            self._buckets.popitem(last=False)

    def _cell(self, reader_id: int) -> int:
        digest = hashlib.blake2b(reader_id.to_bytes(8), key=self._seed, digest_size=8).digest()
        return int.from_bytes(digest) % len(self._cells)
