"""`posts` and `posts_by_author`: the canonical post, and the index every pull reads."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter

import orjson

from pipeline.domain import hints as marks
from pipeline.domain import made_ids, order
from pipeline.domain.erasure import FOREVER
from pipeline.domain.merge import Row
from pipeline.domain.snowflake import bucket_of, first_id
from pipeline.domain.visibility import is_private
from pipeline.store.cassandra.session import Database
from pipeline.store.cassandra.wire import UNSET, Mutation
from pipeline.store.values import Claim, Placed, Reservation, StoredPost
from pipeline.wire.enums import EventType
from pipeline.wire.records import PostEvent

_FUTURE_MS = 86_400_000
"""No post is newer than this from now, so an open bound does not walk through decades of empty buckets."""

_NEAR, _BATCH = 3, 100
"""Buckets asked for together: the quarter before the newest one, then as many as an IN may name."""


class CassandraPosts:
    """A `PostStore`. The columns of a post are written with the time of the event that set them."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._publish = db.prepare(
            "INSERT INTO posts"
            " (post_id, author_id, created_at, visibility, region, body, media, was_private, made_of)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self._index = db.prepare(
            "INSERT INTO posts_by_author (author_id, bucket, post_id, hints, private) VALUES (?, ?, ?, ?, ?)"
            " USING TIMESTAMP ?"
        )
        self._index_shown = db.prepare(
            "UPDATE posts_by_author USING TIMESTAMP ? SET private = ?"
            " WHERE author_id = ? AND bucket = ? AND post_id = ?"
        )
        self._index_deleted = db.prepare(
            "UPDATE posts_by_author USING TIMESTAMP ? SET deleted = true"
            " WHERE author_id = ? AND bucket = ? AND post_id = ?"
        )
        self._edit = db.prepare(
            "INSERT INTO posts (post_id, visibility, region, body, media, was_private, edited_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self._delete = db.prepare("INSERT INTO posts (post_id, deleted) VALUES (?, true) USING TIMESTAMP ?")
        self._claims = db.prepare("SELECT post_id, author_id, ahead, made_of FROM posts WHERE post_id IN ?")
        self._reserve = db.prepare(
            "INSERT INTO post_reservations (post_id, author_id, made_of) VALUES (?, ?, ?) USING TTL ?"
        )
        self._reserved = db.prepare(
            "SELECT post_id, author_id, made_of FROM post_reservations"
            " WHERE post_id IN ? PER PARTITION LIMIT 2"
        )
        self._keep_ahead = db.prepare(
            "INSERT INTO posts_ahead (post_id, author_id, at, place, type, visibility, region, body, media)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"
        )
        self._mark_ahead = db.prepare(
            "UPDATE posts USING TIMESTAMP ? AND TTL ? SET ahead = true WHERE post_id = ?"
        )
        self._ahead = db.prepare(
            "SELECT at, place, type, visibility, region, body, media FROM posts_ahead"
            " WHERE post_id = ? AND author_id = ? LIMIT ?"
        )
        self._posts = db.prepare(
            "SELECT post_id, author_id, created_at, visibility, region, body, media, edited_at, deleted,"
            " taken_down, was_private, WRITETIME(author_id), WRITETIME(edited_at) FROM posts"
            " WHERE post_id IN ?"
        )
        self._recent = db.prepare(
            "SELECT post_id, hints, private, deleted FROM posts_by_author"
            " WHERE author_id = ? AND bucket = ? AND post_id >= ? AND post_id < ? LIMIT ?"
        )
        self._recent_of = db.prepare(
            "SELECT post_id, hints, private, deleted FROM posts_by_author"
            " WHERE author_id = ? AND bucket IN ? AND post_id >= ? AND post_id < ? PER PARTITION LIMIT ?"
        )
        self._take_down = db.prepare(
            "UPDATE posts USING TIMESTAMP ? SET taken_down = taken_down + ? WHERE post_id = ?"
        )
        self._restore = db.prepare(
            "UPDATE posts USING TIMESTAMP ? SET taken_down = taken_down - ? WHERE post_id = ?"
        )
        self._restore_all = db.prepare("DELETE taken_down FROM posts USING TIMESTAMP ? WHERE post_id = ?")
        self._clear = db.prepare("DELETE body, media FROM posts USING TIMESTAMP ? WHERE post_id = ?")
        self._forget = db.prepare("DELETE FROM posts USING TIMESTAMP ? WHERE post_id = ?")
        self._forget_ahead = db.prepare(
            "DELETE FROM posts_ahead USING TIMESTAMP ? WHERE post_id = ? AND author_id = ?"
        )
        self._forget_reserved = db.prepare(
            "DELETE FROM post_reservations USING TIMESTAMP ? WHERE post_id = ? AND author_id = ?"
        )
        self._forget_bucket = db.prepare(
            "DELETE FROM posts_by_author USING TIMESTAMP ? WHERE author_id = ? AND bucket = ?"
        )

    async def put_posts(self, posts: Iterable[Placed[PostEvent]], hints: Mapping[int, int]) -> None:
        """See `PostStore`."""
        rows = (row for post in posts for row in self._rows(*post, hints))
        await self._db.write(rows, self._publish.table)

    def _rows(self, post: PostEvent, offset: int, packed: Mapping[int, int]) -> Iterator[Mutation]:
        version, private = order.of_post(post, offset), is_private(post.visibility or "")
        place = post.author_id, bucket_of(post.post_id), post.post_id
        if post.type == EventType.PUBLISHED:
            yield self._publish.mutation(
                post.post_id,
                post.author_id,
                post.at,
                post.visibility or "public",
                post.region or "",
                post.body or "",
                _media_text(post.media or ()),
                private or UNSET,
                made_ids.digest_of_event(post) if post.made else UNSET,
                version.write_time,
            )
            hint = packed.get(post.post_id, 0)
            yield self._index.mutation(*place, hint, private, version.write_time)
        elif post.type == EventType.EDITED:
            named = [UNSET if value is None else value for value in _content(post)]
            yield self._edit.mutation(post.post_id, *named, private or UNSET, version.at, version.write_time)
            if post.visibility is not None:
                yield self._index_shown.mutation(version.write_time, private, *place)
        else:
            yield self._delete.mutation(post.post_id, version.write_time)
            yield self._clear.mutation(FOREVER, post.post_id)  # a deletion is for ever: no edit writes again
            yield self._index_deleted.mutation(version.write_time, *place)

    async def claims(self, post_ids: Sequence[int]) -> dict[int, Claim]:
        """See `PostStore`."""
        rows = await self._db.fetch_in(self._claims, post_ids)
        return {post_id: Claim(author, bool(ahead), made_of) for post_id, author, ahead, made_of in rows}

    async def reserve(
        self, reservations: Sequence[Reservation], *, ttl_s: int
    ) -> dict[int, set[Reservation]]:
        """See `PostStore`."""
        rows = (self._reserve.mutation(*one, ttl_s) for one in reservations)
        await self._db.write(rows, self._reserve.table)
        wanted: dict[int, set[Reservation]] = {one.post_id: {one} for one in reservations}
        for row in await self._db.fetch_in(self._reserved, wanted):
            wanted[row[0]].add(Reservation(*row))
        return wanted

    async def put_ahead(self, posts: Sequence[Placed[PostEvent]], *, ttl_s: int) -> None:
        """See `PostStore`. Events first: who sees the mark finds them."""
        events = (
            self._keep_ahead.mutation(
                post.post_id,
                post.author_id,
                post.at,
                place,
                post.type,
                *_content(post),
                order.of_post(post, place).write_time,
                ttl_s,
            )
            for post, place in posts
        )
        await self._db.write(events, self._keep_ahead.table)
        marks = (
            self._mark_ahead.mutation(order.of_post(post, place).write_time, ttl_s, post.post_id)
            for post, place in posts
        )
        await self._db.write(marks, self._mark_ahead.table)

    async def ahead(self, post_id: int, author_id: int, most: int) -> list[Placed[PostEvent]]:
        """See `PostStore`."""
        rows = await self._db.fetch(self._ahead, post_id, author_id, most)
        return [
            Placed(PostEvent(kind, post_id, author_id, at, visibility, region, body, _media(media)), place)
            for at, place, kind, visibility, region, body, media in rows
        ]

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
            some, older, size = older[:size], older[size:], _BATCH
            wanted = limit - len(rows)
            found = await self._db.fetch(self._recent_of, author_id, list(some), lo, hi, wanted)
            rows += sorted(found, key=itemgetter(0), reverse=True)[:wanted]
        return [Row(post_id, author_id, _marked(*row)) for post_id, *row in rows]

    async def take_down(self, post_id: int, regions: Sequence[str], version: order.Version) -> None:
        """See `PostStore`."""
        await self._write(self._take_down.mutation(version.write_time, set(regions), post_id))

    async def restore(self, post_id: int, regions: Sequence[str], version: order.Version) -> None:
        """See `PostStore`. A post has few regions, so the tombstones of its one row are few."""
        if "*" in regions:
            await self._write(self._restore_all.mutation(version.write_time, post_id))
        else:
            await self._write(self._restore.mutation(version.write_time, set(regions), post_id))

    async def forget_posts(self, author_id: int, post_ids: Sequence[int]) -> None:
        """See `PostStore`."""
        gone = [self._forget.mutation(FOREVER, post) for post in post_ids]
        gone += [
            statement.mutation(FOREVER, post, author_id)
            for post in post_ids
            for statement in (self._forget_ahead, self._forget_reserved)
        ]
        await self._db.write(gone, self._forget.table)

    async def forget_index(self, author_id: int) -> None:
        """See `PostStore`. Every bucket there can be: a hundred, and most are empty."""
        newest = bucket_of(first_id(int(time.time() * 1000) + _FUTURE_MS))
        gone = (self._forget_bucket.mutation(FOREVER, author_id, bucket) for bucket in range(newest + 1))
        await self._db.write(gone, self._forget_bucket.table)

    async def _write(self, row: Mutation) -> None:
        await self._db.write([row], self._publish.table)


def _content(post: PostEvent) -> tuple[str | None, ...]:
    return post.visibility, post.region, post.body, _media_text(post.media)


def _media_text(media: Sequence[Mapping[str, str]] | None) -> str | None:
    return None if media is None else orjson.dumps([dict(item) for item in media]).decode()


def _media(text: str | None) -> tuple[Mapping[str, str], ...] | None:
    return tuple(orjson.loads(text)) if text else None


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
    was_private: bool | None,
    published_us: int,
    edited_us: int | None,
) -> StoredPost:
    return StoredPost(
        post_id=post_id,
        author_id=author_id,
        created_at=created_at,
        visibility=visibility or "",
        region=region or "",
        body=body or "",
        media=_media(media) or (),
        edited_at=edited_at if (edited_us or 0) > published_us else None,
        deleted=bool(deleted),
        taken_down=frozenset(taken_down or ()),
        was_private=bool(was_private),
    )


def _marked(packed: int | None, private: bool | None, deleted: bool | None) -> int:
    """The hints with their flags; without any, the post is not stored yet."""
    return (
        marks.GONE
        if packed is None
        else packed | (marks.PRIVATE if private else 0) | (marks.GONE if deleted else 0)
    )
