"""`posts` and `posts_by_author`: the canonical post, and the index every pull reads."""

import time
from collections.abc import Iterator, Mapping, Sequence

import orjson

from pipeline.domain.merge import Row
from pipeline.domain.snowflake import bucket_of, first_id
from pipeline.records import PostEvent
from pipeline.store.cassandra.session import Database
from pipeline.store.cassandra.wire import UNSET, Mutation
from pipeline.store.values import StoredPost

_FUTURE_MS = 86_400_000
"""No post is newer than this from now, so an open bound does not walk through decades of empty buckets."""

_NEAR, _AT_ONCE = 3, 100
"""Buckets asked for together: the quarter before the newest one, then as many as an IN may name."""


class CassandraPosts:
    """A `PostStore`. The columns of a post are written with the time of the event that set them."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._publish = db.prepare(
            "INSERT INTO posts (post_id, author_id, created_at, visibility, region, body, media)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self._index = db.prepare(
            "INSERT INTO posts_by_author (author_id, bucket, post_id, hints) VALUES (?, ?, ?, ?)"
            " USING TIMESTAMP ?"
        )
        self._edit = db.prepare(
            "INSERT INTO posts (post_id, visibility, region, body, media, edited_at)"
            " VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self._delete = db.prepare("INSERT INTO posts (post_id, deleted) VALUES (?, true) USING TIMESTAMP ?")
        self._authors = db.prepare("SELECT post_id, author_id FROM posts WHERE post_id IN ?")
        self._posts = db.prepare(
            "SELECT post_id, author_id, created_at, visibility, region, body, media, edited_at, deleted,"
            " taken_down FROM posts WHERE post_id IN ?"
        )
        self._recent = db.prepare(
            "SELECT post_id, hints FROM posts_by_author"
            " WHERE author_id = ? AND bucket = ? AND post_id >= ? AND post_id < ? LIMIT ?"
        )
        self._recent_of = db.prepare(
            "SELECT post_id, hints FROM posts_by_author"
            " WHERE author_id = ? AND bucket IN ? AND post_id >= ? AND post_id < ? PER PARTITION LIMIT ?"
        )
        self._take_down = db.prepare(
            "UPDATE posts USING TIMESTAMP ? SET taken_down = taken_down + ? WHERE post_id = ?"
        )
        self._restore = db.prepare(
            "UPDATE posts USING TIMESTAMP ? SET taken_down = taken_down - ? WHERE post_id = ?"
        )
        self._restore_all = db.prepare("DELETE taken_down FROM posts USING TIMESTAMP ? WHERE post_id = ?")

    async def put_posts(self, posts: Sequence[PostEvent], hints: Mapping[int, int]) -> None:
        """See `PostStore`."""
        rows = (row for post in posts for row in self._rows(post, hints))
        await self._db.write(rows, self._publish.table)

    def _rows(self, post: PostEvent, hints: Mapping[int, int]) -> Iterator[Mutation]:
        us = post.at * 1000
        content = [
            UNSET if value is None else value
            for value in (post.visibility, post.region, post.body, _media_text(post.media))
        ]
        if post.type == "published":
            yield self._publish.mutation(post.post_id, post.author_id, post.at, *content, us)
            bucket = bucket_of(post.post_id)
            yield self._index.mutation(post.author_id, bucket, post.post_id, hints.get(post.post_id, 0), us)
        elif post.type == "edited":
            yield self._edit.mutation(post.post_id, *content, post.at, us + 1)
        else:
            yield self._delete.mutation(post.post_id, us + 1)

    async def authors_of(self, post_ids: Sequence[int]) -> dict[int, int]:
        """See `PostStore`."""
        rows = await self._db.fetch_in(self._authors, post_ids)
        return {post_id: author_id for post_id, author_id in rows if author_id is not None}

    async def posts(self, post_ids: Sequence[int]) -> dict[int, StoredPost]:
        """See `PostStore`."""
        rows = await self._db.fetch_in(self._posts, post_ids)
        return {row[0]: _post(*row) for row in rows if row[1] is not None}

    async def recent(self, author_id: int, lo: int, hi: int, limit: int) -> list[Row]:
        """See `PostStore`. The newest bucket first, then a few, then all that are left, of which most are
        empty: they cost a node next to nothing, and a request each would cost much.

        A post more than a day in the future is not found.
        """
        hi = min(hi, first_id(int(time.time() * 1000) + _FUTURE_MS))
        newest, oldest = bucket_of(hi - 1), bucket_of(max(lo, 0))
        rows = await self._db.fetch(self._recent, author_id, newest, lo, hi, limit)
        older, size = range(newest - 1, oldest - 1, -1), _NEAR
        while older and len(rows) < limit:
            some, older, size = older[:size], older[size:], _AT_ONCE
            wanted = limit - len(rows)
            found = await self._db.fetch(self._recent_of, author_id, list(some), lo, hi, wanted)
            rows += sorted(found, reverse=True)[:wanted]
        return [Row(post_id, author_id, hints) for post_id, hints in rows]

    async def take_down(self, post_id: int, regions: Sequence[str], at: int) -> None:
        """See `PostStore`."""
        await self._write(self._take_down.mutation(at * 1000, set(regions), post_id))

    async def restore(self, post_id: int, regions: Sequence[str], at: int) -> None:
        """See `PostStore`. A take-down of the same millisecond is undone as well."""
        if "*" in regions:
            await self._write(self._restore_all.mutation(at * 1000, post_id))
        else:
            await self._write(self._restore.mutation(at * 1000, set(regions), post_id))

    async def _write(self, row: Mutation) -> None:
        await self._db.write([row], self._publish.table)


def _media_text(media: Sequence[Mapping[str, str]] | None) -> str | None:
    return None if media is None else orjson.dumps([dict(item) for item in media]).decode()


def _post(
    post_id: int,
    author_id: int,
    created_at: int,
    visibility: str | None,
    region: str | None,
    body: str | None,
    media: str | None,
    edited_at: int | None,
    deleted: bool | None,
    taken_down: set[str] | None,
) -> StoredPost:
    return StoredPost(
        post_id=post_id,
        author_id=author_id,
        created_at=created_at,
        visibility=visibility or "",
        region=region or "",
        body=body or "",
        media=tuple(orjson.loads(media)) if media else (),
        edited_at=edited_at,
        deleted=bool(deleted),
        taken_down=frozenset(taken_down or ()),
    )
