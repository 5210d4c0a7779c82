"""Every request has a name: the client's if it is well formed, else one made here.

It is in the answer (`X-Request-Id`), in a problem's body and in each log line about the request: what a
client saw and what a process wrote can be brought together.
"""

import re
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web
from structlog.contextvars import bound_contextvars

from pipeline.telemetry import metrics

HEADER = "X-Request-Id"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY = web.RequestKey("request_id", str)


@web.middleware
async def named(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the request, and count its answer."""
    given = request.headers.get(HEADER, "")
    request[_KEY] = given if _WELL_FORMED.fullmatch(given) else secrets.token_hex(8)
    with bound_contextvars(request_id=of(request)):
        answer = await handler(request)
    answer.headers[HEADER] = of(request)
    resource = request.match_info.route.resource
    route = "other" if resource is None else resource.canonical
    metrics.API_ANSWERS.labels(route, answer.status).inc()
    return answer


def of(request: web.Request) -> str:
    """The name of this request."""
    return request[_KEY]
