"""HTTP API v1: the routes, and what stands around them. `/v1/openapi.json` says all of it."""

import time
from collections.abc import Callable

import orjson
from aiohttp import web

from pipeline.domain.rates import Rate
from pipeline.pages.query import Query
from pipeline.tokens import TokenKeys
from pipeline.topology import ApiSpec
from pipeline.web import health, openapi, problems, reads, request_ids
from pipeline.web.answers import answer
from pipeline.web.limits import Limits
from pipeline.web.parts import PARTS, Parts

LARGEST_BODY = 64 * 1024
"""Bytes of a request body that are read at all; no route has one."""

LONGEST_LINE = 16 * 1024
"""Bytes of a request's first line: a cursor may have names of many posts in it."""


def create(
    query: Query,
    spec: ApiSpec,
    keys: TokenKeys | None,
    topics_read: Callable[[], dict[str, dict[int, int]]],
    clock: Callable[[], float] = time.monotonic,
) -> web.Application:
    """The application. `keys` None: nobody has to show a token. `topics_read`: by topic that is followed and
    by partition, the next offset to be read.
    """
    app = web.Application(middlewares=[request_ids.named, problems.told], client_max_size=LARGEST_BODY)
    limits = Limits(Rate(spec.rate_per_second, spec.burst), clock)
    app[PARTS] = Parts(query, spec, keys, limits, topics_read)
    document = orjson.dumps(openapi.document(spec, with_tokens=keys is not None))

    async def described(request: web.Request) -> web.Response:
        return answer(request, document)

    app.router.add_get("/v1/readers/{reader_id}/timeline", reads.timeline)
    app.router.add_get("/v1/readers/{reader_id}/following/{author_id}", reads.following)
    app.router.add_get("/v1/posts/{post_id}", reads.post)
    app.router.add_get("/v1/openapi.json", described)
    app.router.add_get("/healthz", health.healthz)
    app.router.add_get("/readyz", health.readyz)
    app.router.add_get("/metrics", health.metrics)
    return app
