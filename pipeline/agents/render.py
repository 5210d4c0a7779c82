"""A page as JSON: ids as strings, since JavaScript cannot hold 64 bits."""

from typing import Any

import orjson

from pipeline.agents.page import Item, Page


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


def _item(item: Item, explain: bool) -> dict[str, Any]:
    post = item.post
    body: dict[str, Any] = {
        "post_id": str(post.post_id),
        "author_id": str(post.author_id),
        "created_at": post.created_at,
        "visibility": post.visibility,
        "body": post.body,
        "media": [dict(media) for media in post.media],
        "edited_at": post.edited_at,
    }
    if explain:
        body["path"] = item.path
    return body


def problem(status: int, title: str, detail: str) -> bytes:
    """An RFC 9457 problem: what went wrong, and what to do about it."""
    return orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail})
