"""Posts in memory: one cell a column, one row a region for take-downs."""

from collections.abc import Iterable, Mapping, Sequence

from pipeline.domain import hints as marks
from pipeline.domain import made_ids, order
from pipeline.domain.erasure import FOREVER
from pipeline.domain.merge import Row
from pipeline.domain.visibility import is_private
from pipeline.store.memory.cells import Clock, MemoryTable
from pipeline.store.values import Claim, Placed, Reservation, StoredPost
from pipeline.wire.enums import EventType
from pipeline.wire.records import PostEvent


class MemoryPosts:
    """A `PostStore`."""

    def __init__(self, clock: Clock) -> None:
        self._posts = MemoryTable(clock)
        self._by_author = MemoryTable(clock)
        self._ahead = MemoryTable(clock)
        self._reserved = MemoryTable(clock)
        self._take_downs = MemoryTable(clock)
        self._restored_us: dict[int, int] = {}

    async def put_posts(self, posts: Iterable[Placed[PostEvent]], hints: Mapping[int, int]) -> None:
        """See `PostStore`."""
        for post, place in posts:
            version, private = order.of_post(post, place), is_private(post.visibility or "")
            if private:
                self._posts.write(post.post_id, 0, version.write_time, {"was_private": True})
            if post.type == EventType.PUBLISHED:
                whole = {
                    "author_id": post.author_id,
                    "created_at": post.at,
                    "visibility": post.visibility or "public",
                    "region": post.region or "",
                    "body": post.body or "",
                    "media": tuple(post.media or ()),
                    **({"made_of": made_ids.digest_of_event(post)} if post.made else {}),
                }
                self._posts.write(post.post_id, 0, version.write_time, whole)
                hint = {"hints": hints.get(post.post_id, 0), "private": private}
                self._by_author.write(post.author_id, post.post_id, version.write_time, hint)
            elif post.type == EventType.EDITED:
                content = {"visibility": post.visibility, "region": post.region, "body": post.body}
                named = {column: value for column, value in content.items() if value is not None}
                media = {} if post.media is None else {"media": tuple(post.media)}
                edit = {"edited_at": version.at, **named, **media}
                self._posts.write(post.post_id, 0, version.write_time, edit)
                if post.visibility is not None:
                    self._by_author.write(
                        post.author_id, post.post_id, version.write_time, {"private": private}
                    )
            else:
                self._posts.write(post.post_id, 0, version.write_time, {"deleted": True})
                self._posts.write(post.post_id, 0, FOREVER, {"body": None, "media": None})
                self._by_author.write(post.author_id, post.post_id, version.write_time, {"deleted": True})

    async def claims(self, post_ids: Sequence[int]) -> dict[int, Claim]:
        """See `PostStore`."""
        found = {post_id: self._posts.row(post_id) for post_id in post_ids}
        return {
            post_id: Claim(cells.get("author_id"), cells.get("ahead", False), cells.get("made_of"))
            for post_id, cells in found.items()
            if cells
        }

    async def reserve(
        self, reservations: Sequence[Reservation], *, ttl_s: int
    ) -> dict[int, set[Reservation]]:
        """See `PostStore`."""
        for one in reservations:
            self._reserved.write(one.post_id, one[1:], 1, {"wanted": True}, ttl_s=ttl_s)
        wanted = {one.post_id: self._reserved.rows(one.post_id) for one in reservations}
        return {post: {Reservation(post, *who) for who in rows} for post, rows in wanted.items()}

    async def put_ahead(self, posts: Sequence[Placed[PostEvent]], *, ttl_s: int) -> None:
        """See `PostStore`."""
        for post, place in posts:
            row, written = (post.at, place), order.of_post(post, place).write_time
            key = post.post_id, post.author_id
            self._ahead.write(key, row, written, {"event": (post, place)}, ttl_s=ttl_s)
            self._posts.write(post.post_id, 0, written, {"ahead": True}, ttl_s=ttl_s)

    async def ahead(self, post_id: int, author_id: int, most: int) -> list[Placed[PostEvent]]:
        """See `PostStore`."""
        newest = reversed(self._ahead.rows((post_id, author_id)).values())
        return [Placed(*cells["event"]) for cells in newest][:most]

    async def posts(self, post_ids: Sequence[int]) -> dict[int, StoredPost]:
        """See `PostStore`."""
        found = {post_id: self._posts.row(post_id) for post_id in post_ids}
        return {
            post_id: StoredPost(
                post_id=post_id,
                taken_down=self._taken_down(post_id),
                edited_at=self._edited_at(post_id, cells.pop("edited_at", None)),
                deleted=cells.pop("deleted", False),
                **{"body": "", "media": ()}
                | {column: value for column, value in cells.items() if column not in ("ahead", "made_of")},
            )
            for post_id, cells in found.items()
            if "author_id" in cells
        }

    def _edited_at(self, post_id: int, edited_at: int | None) -> int | None:
        edited, published = (self._posts.written_us(post_id, 0, c) for c in ("edited_at", "author_id"))
        return edited_at if edited > published else None

    def _taken_down(self, post_id: int) -> frozenset[str]:
        restored = self._restored_us.get(post_id, -1)
        regions = self._take_downs.rows(post_id).items()
        return frozenset(region for region, cells in regions if cells["us"] > restored)

    async def recent(self, author_id: int, lo: int, hi: int, limit: int) -> list[Row]:
        """See `PostStore`."""
        rows = reversed(self._by_author.rows(author_id).items())
        return [Row(post, author_id, _marked(**cells)) for post, cells in rows if lo <= post < hi][:limit]

    async def take_down(self, post_id: int, regions: Sequence[str], version: order.Version) -> None:
        """See `PostStore`."""
        for region in regions:
            self._take_downs.write(post_id, region, version.write_time, {"us": version.write_time})

    async def restore(self, post_id: int, regions: Sequence[str], version: order.Version) -> None:
        """See `PostStore`."""
        if "*" in regions:
            self._restored_us[post_id] = max(version.write_time, self._restored_us.get(post_id, 0))
        for region in regions:
            self._take_downs.write(post_id, region, version.write_time, {"us": None})

    async def forget_posts(self, author_id: int, post_ids: Sequence[int]) -> None:
        """See `PostStore`."""
        for post in post_ids:
            self._posts.forget(post)
            self._ahead.forget((post, author_id))
            self._take_downs.forget(post)

    async def forget_index(self, author_id: int) -> None:
        """See `PostStore`."""
        self._by_author.forget(author_id)


def _marked(hints: int | None = None, private: bool = False, deleted: bool = False) -> int:
    if hints is None:
        return marks.GONE
    return hints | (marks.PRIVATE if private else 0) | (marks.GONE if deleted else 0)
