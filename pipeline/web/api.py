"""HTTP API v1: the routes, and what stands around them. `/v1/openapi.json` says all of it.

Beside it, on a port of its own (`beside`), what is for those who run it: who can reach readers' pages cannot
read the metrics.
"""

import time
from collections.abc import Callable

import orjson
from aiohttp import web

from pipeline.auth.tokens import TokenKeys
from pipeline.domain.rates import Rate
from pipeline.query.timeline import Query
from pipeline.topology import ApiSpec
from pipeline.web import health, openapi, problems, reads, request_ids
from pipeline.web.answers import answer
from pipeline.web.limits import RateLimits
from pipeline.web.parts import PARTS, Parts


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
    app = web.Application(middlewares=[request_ids.named, problems.told])
    limits = RateLimits(Rate(spec.rate_per_second, spec.burst), clock)
    app[PARTS] = Parts(query, spec, keys, limits, topics_read)
    document = orjson.dumps(openapi.document(spec, with_tokens=keys is not None))

    async def described(request: web.Request) -> web.Response:
        return answer(request, document)

    routes = {
        "/v1/readers/{reader_id}/timeline": reads.timeline,
        "/v1/readers/{reader_id}/following/{author_id}": reads.following,
        "/v1/posts/{post_id}": reads.post,
        "/v1/openapi.json": described,
        "/healthz": health.healthz,
    }
    for path, handler in routes.items():
        app.router.add_get(path, handler, expect_handler=_not_expected)
    return app


def beside(app: web.Application) -> web.Application:
    """The application for those who run this one."""
    made = web.Application(middlewares=[request_ids.named, problems.told])
    made[PARTS] = app[PARTS]
    made.router.add_get("/healthz", health.healthz)
    made.router.add_get("/readyz", health.readyz)
    made.router.add_get("/metrics", health.metrics)
    return made


async def _not_expected(_: web.Request) -> None:
    """Nobody is told to go on and send a body (`100 Continue`): the answer follows, and says why not."""
