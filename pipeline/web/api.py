"""HTTP API v1.

    GET /v1/readers/{id}/timeline?limit&cursor&mode=latest[&explain=1]
    GET /healthz    the process is alive
    GET /readyz     it can serve: the store answers, routes are read to their end
    GET /metrics    Prometheus

Errors are RFC 9457 problems: 400 for a request that can never work, 413 for one that is too large, 503 when
the store does not answer in time.
"""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pipeline.agents import render
from pipeline.agents.query import Query
from pipeline.domain.page_request import BadRequest, parse
from pipeline.errors import Unavailable

LARGEST_BODY = 64 * 1024
"""Bytes of a request body that are read at all; no route has one."""

_QUERY = web.AppKey("query", Query)
_ROUTES_READ: web.AppKey[Callable[[], dict[int, int]]] = web.AppKey("routes_read")
_log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create(query: Query, routes_read: Callable[[], dict[int, int]]) -> web.Application:
    """The application. `routes_read`: by partition of author.routes, the next offset to be read."""
    app = web.Application(middlewares=[_problems], client_max_size=LARGEST_BODY)
    app[_QUERY], app[_ROUTES_READ] = query, routes_read
    app.router.add_get("/v1/readers/{reader_id}/timeline", timeline)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


async def timeline(request: web.Request) -> web.Response:
    """One page of a reader's feed."""
    query, ask = request.app[_QUERY], request.query
    wanted = parse(
        reader_id=request.match_info["reader_id"],
        limit=ask.get("limit"),
        cursor=ask.get("cursor"),
        mode=ask.get("mode"),
        explain=ask.get("explain"),
        now_ms=time.time_ns() // 1_000_000,
        cursor_key=query.cursor_key,
    )
    if isinstance(wanted, BadRequest):
        return _problem(HTTPStatus.BAD_REQUEST, f"{wanted.field}: {wanted.reason}")
    body = render.page(await query.page(wanted), explain=wanted.explain)
    return web.Response(body=body, content_type="application/json")


async def healthz(_: web.Request) -> web.Response:
    """Alive."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Ready: one cheap read answers. `routes_read` lets `tideline lag` see how far this process has read."""
    await request.app[_QUERY].fetch.stores.readers.reader(1)
    return web.json_response({"status": "ready", "routes_read": request.app[_ROUTES_READ]()})


async def metrics(_: web.Request) -> web.Response:
    """What this process counts."""
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as a problem, and no body read further than its limit."""
    try:
        if request.can_read_body:
            await request.read()
        return await handler(request)
    except web.HTTPException as error:
        return _problem(HTTPStatus(error.status), error.text or error.reason)
    except Unavailable as away:
        _log.warning("api.unavailable", path=request.path, error=away.message, next="tideline status")
        return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "the store does not answer; try again")


def _problem(status: HTTPStatus, detail: str) -> web.Response:
    body = render.problem(status, status.phrase, detail)
    return web.Response(body=body, status=status, content_type="application/problem+json")
