"""Pages, posts and problems as JSON: ids as strings, since JavaScript cannot hold 64 bits."""

from typing import Any

import orjson

from pipeline.agents.query import Following, Item, Page
from pipeline.store.values import StoredPost


def page(result: Page, *, explain: bool) -> bytes:
    """`{"items": […], "next_cursor": …, "degraded": []}`; with `explain`, paths and widths as well."""
    body: dict[str, Any] = {
        "items": [_item(item, explain) for item in result.items],
        "next_cursor": result.next_cursor,
        "degraded": list(result.degraded),
    }
    if explain:
        body["explain"] = dict(result.widths)
    return orjson.dumps(body)


def post(found: StoredPost) -> bytes:
    """One post, as an item of a page has it."""
    return orjson.dumps(_post(found))


def following(found: Following) -> bytes:
    """How a reader stands to an author."""
    return orjson.dumps(
        {
            "reader_id": str(found.reader_id),
            "author_id": str(found.author_id),
            "follows": found.follows,
            "since": found.since,
            "muted": found.muted,
            "blocked": found.blocked,
        }
    )


def _item(item: Item, explain: bool) -> dict[str, Any]:
    body = _post(item.post)
    if explain:
        body["path"] = item.path
    return body


def _post(post: StoredPost) -> dict[str, Any]:
    return {
        "post_id": str(post.post_id),
        "author_id": str(post.author_id),
        "created_at": post.created_at,
        "visibility": post.visibility,
        "body": post.body,
        "media": [dict(media) for media in post.media],
        "edited_at": post.edited_at,
    }


def problem(status: int, title: str, detail: str, request_id: str) -> bytes:
    """An RFC 9457 problem: what went wrong, what to do about it, and the request it happened to."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return orjson.dumps(body | {"request_id": request_id})
