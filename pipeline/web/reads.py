"""What readers read: a page of their feed, one post, how they stand to an author.

GET /v1/readers/{reader_id}/timeline?limit&cursor&mode&explain    Request-Timeout-Ms: how long it may take
GET /v1/posts/{post_id}?reader_id
GET /v1/readers/{reader_id}/following/{author_id}
"""

from aiohttp import web

from pipeline.clock import now_ms
from pipeline.domain.page_request import BadRequest, integer, parse
from pipeline.query import render
from pipeline.query.page import Page
from pipeline.telemetry import metrics
from pipeline.web.answers import answer
from pipeline.web.callers import reader_asked_for
from pipeline.web.parameters import identifier, once
from pipeline.web.parts import PARTS

TIMEOUT = "Request-Timeout-Ms"

CURSORS_RENEWED_MS = 3_600_000
"""A client that asks again and again whether its page has changed keeps the page's cursor. Each hour the page
counts as changed once, so that this cursor stays much younger than one that has expired.
"""


async def timeline(request: web.Request) -> web.Response:
    """One page of a reader's feed."""
    query, at_ms = request.app[PARTS].query, now_ms()
    reader_id = reader_asked_for(request)
    wanted = parse(
        reader_id=str(reader_id),
        limit=once(request, "limit"),
        cursor=once(request, "cursor"),
        mode=once(request, "mode"),
        explain=once(request, "explain"),
        now_ms=at_ms,
        cursor_keys=query.cursor_keys,
        timeout_ms=_timeout_ms(request),
    )
    if isinstance(wanted, BadRequest):
        raise web.HTTPBadRequest(text=f"{wanted.field}: {wanted.reason}")
    page = await query.page(wanted)
    body = render.page(page, explain=wanted.explain)
    found = answer(request, body, same=_what_it_says(page, body, at_ms))
    metrics.STALE_REFRESHES.inc(found.status == web.HTTPNotModified.status_code)
    return found


async def post(request: web.Request) -> web.Response:
    """One post. One that this reader may not see is one that is not there."""
    reader_id = reader_asked_for(request)
    found = await request.app[PARTS].query.post(
        reader_id, identifier("post_id", request.match_info["post_id"])
    )
    if found is None:
        raise web.HTTPNotFound(text="no such post for this reader")
    return answer(request, render.post(found))


async def following(request: web.Request) -> web.Response:
    """How a reader stands to an author; to one who is not there, not at all."""
    reader_id = reader_asked_for(request)
    found = await request.app[PARTS].query.following(
        reader_id, identifier("author_id", request.match_info["author_id"])
    )
    return answer(request, render.following(found))


def _timeout_ms(request: web.Request) -> int:
    """The time the page has: as the header says, else as the topology does."""
    spec = request.app[PARTS].spec
    given = request.headers.getall(TIMEOUT, [])
    if not given:
        return spec.deadline_ms
    found = integer(given[0], spec.deadline_max_ms) if len(given) == 1 else None
    if found is None:
        raise web.HTTPBadRequest(text=f"{TIMEOUT}: must be an integer from 1 to {spec.deadline_max_ms}")
    return found


def _what_it_says(page: Page, body: bytes, now_ms: int) -> bytes:
    """A page but for the bytes of its cursor, which are others each time and lead to the same place."""
    if page.next_cursor is None:
        return body
    return body.replace(page.next_cursor.encode(), b"") + b"%d" % (now_ms // CURSORS_RENEWED_MS)
