"""Pages, posts and problems as JSON: ids as strings, since JavaScript cannot hold 64 bits."""

from typing import Any

import orjson

from pipeline.domain.fields import VISIBILITIES
from pipeline.query.looks import Following
from pipeline.query.page import Item, Page
from pipeline.store.values import StoredPost


def page(result: Page, *, explain: bool) -> bytes:
    """`{"items": […], "next_cursor": …, "degraded": [], "lacks": []}`; with `explain`, how it came about."""
    body: dict[str, Any] = {
        "items": [_item(item, result.as_of if explain else None) for item in result.items],
        "next_cursor": result.next_cursor,
        "degraded": list(result.degraded),
        "lacks": [str(author) for author in result.lacks],
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


def _item(item: Item, as_of: int | None) -> dict[str, Any]:
    """A post; as of a time, with its provenance."""
    body = _post(item.post)
    if as_of is not None:
        body |= {"path": item.path, "tier": item.tier, "age_ms": as_of - item.post.created_at}
        if item.score is not None:
            body |= {"score": item.score, "parts": dict(item.parts)}
    return body


def _post(post: StoredPost) -> dict[str, Any]:
    return {
        "post_id": str(post.post_id),
        "author_id": str(post.author_id),
        "created_at": post.created_at,
        "visibility": post.visibility if post.visibility in VISIBILITIES else "private",
        "body": post.body,
        "media": [dict(media) for media in post.media],
        "edited_at": post.edited_at,
    }


def problem(status: int, title: str, detail: str, request_id: str) -> bytes:
    """An RFC 9457 problem: what went wrong, what to do about it, and the request it happened to."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return orjson.dumps(body | {"request_id": request_id})
