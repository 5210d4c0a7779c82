"""When a stage has stalled: it does nothing, there is work for it, and nobody gets on with that work.

A consumer can come out of a rebalance or a broker's restart without its partitions, or without fetching from
them, and never notice (Faust has several such reports open). Idle alone says nothing, and neither does lag: a
repair may wait for its time with its batch in hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class StallSample:
    """What is seen at a time (s): for how long nothing was in hand; of each partition that is the worker's,
    or of all when it has none, where the group stands and where the topic ends.
    """

    at_s: float
    idle_s: float
    committed: Mapping[Partition, int | None]
    ends: Mapping[Partition, int]

    @property
    def waiting(self) -> dict[Partition, int]:
        """Records that wait, by partition; a group that never committed has all before it."""
        found = {place: end - (self.committed.get(place) or 0) for place, end in self.ends.items()}
        return {place: records for place, records in found.items() if records > 0}


def stuck_since(
    before: tuple[float, StallSample] | None, now: StallSample
) -> tuple[float, StallSample] | None:
    """Since when (s) nothing has moved, and this look to compare the next one with; None: all is well."""
    if not now.waiting:
        return None
    if before is None or before[1].committed != now.committed:
        return now.at_s, now
    since, _ = before
    return max(since, now.at_s - now.idle_s), now
