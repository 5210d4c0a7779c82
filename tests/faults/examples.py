"""What is known of one wrong delivery: what was published, and what every table says."""

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from tests.engines.events import Event
from tests.engines.harness import Instance
from tests.faults.workload import Workload

_BUCKET_MS = 30 * 86_400_000


@dataclass(frozen=True)
class Example:
    """A post that a reader sees and must not, or must and does not."""

    kind: str
    reader: int
    post: int
    author: int
    tables: dict[str, list[Any]]
    said: list[Event]

    def document(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def explain(instance: Instance, workload: Workload, kind: str, reader: int, post: int) -> Example:
    """Ask every table about it."""
    author = next(
        (e["author_id"] for e in workload.published if e.get("post_id") == post and "author_id" in e), 0
    )
    segments = [
        row["segment"]
        for row in _rows(instance, "following_by_reader", "reader_id = %s AND author_id = %s", reader, author)
    ]
    asked: dict[str, tuple[str, tuple[int, ...]]] = {
        "posts": ("post_id = %s", (post,)),
        "posts_by_author": (
            "author_id = %s AND bucket = %s AND post_id = %s",
            (author, (post >> 22) // _BUCKET_MS, post),
        ),
        "timeline_by_reader": ("reader_id = %s AND post_id = %s", (reader, post)),
        "following_by_reader": ("reader_id = %s AND author_id = %s", (reader, author)),
        "author_routes": ("author_id = %s", (author,)),
        "author_stats": ("author_id = %s", (author,)),
        "reader_state": ("reader_id = %s", (reader,)),
        "relations_by_reader": ("reader_id = %s AND other_id = %s", (reader, author)),
    }
    tables = {table: _rows(instance, table, where, *values) for table, (where, values) in asked.items()}
    for segment in segments:
        where = "author_id = %s AND segment = %s AND follower_id = %s"
        tables["followers_by_author"] = _rows(instance, "followers_by_author", where, author, segment, reader)
    said = workload.said_of(reader=reader, author=author, post=post)
    return Example(kind, reader, post, author, tables, said)


def _rows(instance: Instance, table: str, where: str, *values: int) -> list[Any]:
    rows = instance.rows(f"SELECT JSON * FROM {table} WHERE {where}", *values)
    return [orjson.loads(row[0]) for row in rows]
