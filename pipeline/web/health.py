"""For those who run it: GET /healthz, it is alive; /readyz, it can serve; /metrics, Prometheus. No token.

The first is for balancers as well, and has nothing to tell strangers.
"""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pipeline.web.parts import PARTS


async def healthz(_: web.Request) -> web.Response:
    """Alive."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Ready: one cheap read answers. `read` lets `tideline lag` see how far this process has read."""
    parts = request.app[PARTS]
    await parts.query.ready()
    return web.json_response({"status": "ready", "read": parts.topics_read()})


async def metrics(_: web.Request) -> web.Response:
    """What this process counts."""
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
