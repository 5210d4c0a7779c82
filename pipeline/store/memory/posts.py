"""Posts in memory: one cell a column, one row a region for take-downs."""

from collections.abc import Mapping, Sequence

from pipeline.domain.merge import Row
from pipeline.records import PostEvent
from pipeline.store.memory.cells import Clock, Table
from pipeline.store.values import StoredPost


class MemoryPosts:
    """A `PostStore`."""

    def __init__(self, clock: Clock) -> None:
        self._posts = Table(clock)
        self._by_author = Table(clock)
        self._take_downs = Table(clock)
        self._restored_us: dict[int, int] = {}

    async def put_posts(self, posts: Sequence[PostEvent], hints: Mapping[int, int]) -> None:
        """See `PostStore`."""
        for post in posts:
            us = post.at * 1000
            content = {"visibility": post.visibility, "region": post.region, "body": post.body}
            written = {column: value for column, value in content.items() if value is not None}
            media = {} if post.media is None else {"media": tuple(post.media)}
            if post.type == "published":
                first = {"author_id": post.author_id, "created_at": post.at}
                self._posts.write(post.post_id, 0, us, {**first, **written, **media})
                hint = {"hints": hints.get(post.post_id, 0)}
                self._by_author.write(post.author_id, post.post_id, us, hint)
            elif post.type == "edited":
                self._posts.write(post.post_id, 0, us + 1, {"edited_at": post.at, **written, **media})
            else:
                self._posts.write(post.post_id, 0, us + 1, {"deleted": True})

    async def authors_of(self, post_ids: Sequence[int]) -> dict[int, int]:
        """See `PostStore`."""
        return {post_id: post.author_id for post_id, post in (await self.posts(post_ids)).items()}

    async def posts(self, post_ids: Sequence[int]) -> dict[int, StoredPost]:
        """See `PostStore`."""
        found = {post_id: self._posts.row(post_id) for post_id in post_ids}
        blank = {"visibility": "", "region": "", "body": "", "media": (), "edited_at": None, "deleted": False}
        return {
            post_id: StoredPost(post_id=post_id, taken_down=self._taken_down(post_id), **{**blank, **cells})
            for post_id, cells in found.items()
            if "author_id" in cells
        }

    def _taken_down(self, post_id: int) -> frozenset[str]:
        restored = self._restored_us.get(post_id, -1)
        regions = self._take_downs.rows(post_id).items()
        return frozenset(region for region, cells in regions if cells["us"] > restored)

    async def recent(self, author_id: int, lo: int, hi: int, limit: int) -> list[Row]:
        """See `PostStore`."""
        rows = reversed(self._by_author.rows(author_id).items())
        return [Row(post, author_id, cells["hints"]) for post, cells in rows if lo <= post < hi][:limit]

    async def take_down(self, post_id: int, regions: Sequence[str], at: int) -> None:
        """See `PostStore`."""
        for region in regions:
            self._take_downs.write(post_id, region, at * 1000, {"us": at * 1000})

    async def restore(self, post_id: int, regions: Sequence[str], at: int) -> None:
        """See `PostStore`."""
        if "*" in regions:
            self._restored_us[post_id] = max(at * 1000, self._restored_us.get(post_id, 0))
        for region in regions:
            self._take_downs.write(post_id, region, at * 1000, {"us": None})
