"""Every error is a problem as RFC 9457 has it: 400 for what can never work, 503 for what may work later.

What failed in here is logged with the request's id and told with nothing but that id.
"""

from collections.abc import Mapping
from http import HTTPStatus

import structlog
from aiohttp import web

from pipeline.errors import Unavailable, Unprocessable
from pipeline.query import render
from pipeline.web import request_ids
from pipeline.web.request_ids import Handler

TRY_AGAIN_S = 1
"""How long a client waits at least after a 503: engines that were away take some seconds."""

_KEPT = ("Allow", "Retry-After", "WWW-Authenticate")
_FOUND_BY_THE_ROUTER = {
    HTTPStatus.NOT_FOUND: "there is no such path; /v1/openapi.json has those there are",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path is read with GET",
}
_log = structlog.get_logger()


@web.middleware
async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as a problem."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        headers = {name: error.headers[name] for name in _KEPT if name in error.headers}
        return _problem(request, HTTPStatus(error.status), _detail(error), headers)
    except Unavailable as away:
        _log.warning("api.unavailable", path=request.path, error=away.message, next="tideline status")
        again = {"Retry-After": str(TRY_AGAIN_S)}
        return _problem(
            request, HTTPStatus.SERVICE_UNAVAILABLE, "the store does not answer; try again", again
        )
    except Unprocessable as never:
        _log.error("api.unprocessable", path=request.path, error=never.message, next=never.hint)
        return _problem(
            request, HTTPStatus.INTERNAL_SERVER_ERROR, "the store cannot read what this page needs"
        )
    except Exception:
        _log.exception("api.failed", path=request.path)
        return _problem(
            request,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "it failed in here; the log has it under the request_id",
        )


def _detail(error: web.HTTPException) -> str:
    """What to do about it: as whoever raised it says, or in words for what the router found."""
    unsaid = error.text in (None, f"{error.status}: {error.reason}")
    return (_FOUND_BY_THE_ROUTER.get(HTTPStatus(error.status)) if unsaid else error.text) or error.reason


def _problem(
    request: web.Request, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    body = render.problem(status, status.phrase, detail, request_ids.of(request))
    kept = {"Cache-Control": "no-store", **(headers or {})}
    return web.Response(body=body, status=status, content_type="application/problem+json", headers=kept)
