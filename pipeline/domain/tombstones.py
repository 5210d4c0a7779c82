"""What a dead letter may bring back, since the table no longer knows that it was ended.

Whatever users can end is overwritten, and stays known: relations, hides, edges, rows of timelines, deleted
posts (decision 21). What is still removed leaves a tombstone that Cassandra drops after a while. A letter
that is older may contradict one that is gone, and nobody can tell: it is not replayed.
"""

from typing import Any

from pipeline.wire.enums import EventType
from pipeline.wire.records import ModerationEvent

TAKE_DOWNS_MS = 10 * 86_400_000
"""`gc_grace_seconds` of `posts`: for so long a restored post is known to have been restored."""


def outlived(record: Any, came_ms: int, now_ms: int) -> str:
    """Why a record that came then must not be applied again now, and what to do; "" when it may."""
    age_ms = now_ms - came_ms
    if (
        not isinstance(record, ModerationEvent)
        or record.type != EventType.TAKEN_DOWN
        or age_ms < TAKE_DOWNS_MS
    ):
        return ""
    days = TAKE_DOWNS_MS // 86_400_000
    return (
        f"it is older than {days} days, and whether the post was restored since is not known any more:"
        " publish the take-down anew, or drop the letter"
    )
