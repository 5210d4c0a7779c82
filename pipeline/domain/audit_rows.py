"""Which posts must be rows in a reader's timeline, and how the rows that are there differ.

    post ids    ───────┬─ margin ─┬──────────────┬─ margin ─┬─ margin ─┬───────────▶
    owed on     pull   │   pull   │ push: a row  │   pull   │   pull   │ pull
                     bound                              author no longer push

Within a margin of a change pages pull and writers may push, so no row is owed. Of the history of classes and
of the bounds it takes the data only: like `audit`, it shares no rule with the writers (`coverage`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from pipeline.domain import snowflake
from pipeline.domain.audit import Finding, Ledger
from pipeline.wire.enums import DeliveryPath
from pipeline.wire.records import AuthorClass, RouteEntry

ROW_MISSING, ROW_LEFT = "row_missing", "row_left"

ROW_KINDS = (ROW_MISSING, ROW_LEFT)
"""row_missing: pages rely on a row that is not there. row_left: a row of an author whom the reader does not
follow, which no page shows: clean-up that is not done, no fault of a feed."""

LATE = "late"
"""A post that is missing while its tier is behind, and may still come (`on_its_way`)."""

LATE_MS = 3_600_000
"""After that it is missing, whatever its tier still has to do: who was paged for the tier had an hour."""

PUBLISHED_MS = 60_000
"""So long after the time of its id a post is published, as a rule. One that was later, or imported, counts as
missing while its tier is behind, once the auditor has waited for it."""


def class_in(history: Sequence[RouteEntry], post_id: int) -> AuthorClass:
    """The class a post was given: that of the last entry that begins at it or before; without one, push."""
    begun = [entry for entry in history if entry.since_post_id <= post_id]
    return max(begun, key=lambda entry: entry.since_post_id).author_class if begun else AuthorClass.PUSH


def path_owed(post_id: int, history: Sequence[RouteEntry], bound: int, *, margin_ms: int) -> str:
    """The path this post has to come on, where `bound` is the one below which all is pulled for this reader:
    `push` when nothing but a row may be relied upon, else `pull`.
    """
    margin = margin_ms << snowflake.SEQUENCE_BITS
    near = [entry for entry in history if abs(entry.since_post_id - post_id) <= margin]
    classes = {class_in(history, post_id - margin), *(entry.author_class for entry in near)}
    return (
        DeliveryPath.PUSH
        if classes == {AuthorClass.PUSH} and post_id >= bound + margin
        else DeliveryPath.PULL
    )


def on_its_way(finding: Finding, behind_since_ms: int | None, now_ms: int) -> bool:
    """Whether the row that is owed may be in a task that is not done: a tier has processed everything older
    than the oldest record that it has not. `behind_since_ms`: when that was published, if it is past the
    tier's lag budget; what is not known explains nothing.
    """
    if (
        finding.path != DeliveryPath.PUSH
        or finding.kind not in ("missing", ROW_MISSING)
        or behind_since_ms is None
    ):
        return False
    made = snowflake.time_ms(finding.post_id)
    return behind_since_ms <= made + PUBLISHED_MS and now_ms - made < LATE_MS


def compare_rows(
    ledger: Ledger, reader_id: int, since_ms: int, rows: Mapping[int, int], path_of: Callable[[int], str]
) -> list[Finding]:
    """Every difference between a reader's rows (author by post) and those that must be there.

    `path_of`: the path each post of the feed is owed on.
    """
    return [*_missing(ledger, reader_id, since_ms, rows, path_of), *_left(ledger, reader_id, rows)]


def _missing(
    ledger: Ledger, reader_id: int, since_ms: int, rows: Mapping[int, int], path_of: Callable[[int], str]
) -> Iterator[Finding]:
    for post in ledger.feed(reader_id, since_ms):
        if post not in rows and path_of(post) == DeliveryPath.PUSH:
            yield Finding(
                ROW_MISSING, post, ledger.author_of(post), DeliveryPath.PUSH, "no row in timeline_by_reader"
            )


def _left(ledger: Ledger, reader_id: int, rows: Mapping[int, int]) -> Iterator[Finding]:
    followed = {*ledger.followees(reader_id), reader_id}
    for post, author in rows.items():
        if author not in followed:
            yield Finding(ROW_LEFT, post, author, DeliveryPath.PUSH, "not followed")
