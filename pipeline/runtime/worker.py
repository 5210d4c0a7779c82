"""One stage in one process: `tideline worker STAGE`, or `DOMAIN/STAGE`.

It refuses to start when the topology does not match, tells the supervisor when it has its partitions, serves
its metrics on a loopback port, stops cleanly on SIGTERM and SIGINT, and ends with an error when its Faust app
crashes, so that the supervisor starts it again. `api`, `auditor` and `controller` are no Faust apps and end
the same way.
"""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import structlog
from prometheus_client import start_http_server

from pipeline import path
from pipeline.config.settings import Settings
from pipeline.errors import ConfigError, EngineError
from pipeline.kafka import tracing
from pipeline.runtime import apps, serving, wiring
from pipeline.runtime.resources import LiveResources
from pipeline.runtime.resources import resources as open_resources
from pipeline.runtime.topology_apply import Cluster, check
from pipeline.telemetry import logs
from pipeline.topology import Topology
from pipeline.web import api, door

_log = structlog.get_logger()


def run(stage: str, settings: Settings, kafka: str, cassandra: str, topology: Topology) -> None:
    """Run the stage of this topology, the home feed's or a domain's, until a signal.

    Raises ConfigError for an unknown stage, EngineError when it crashed.
    """
    known = path.names(topology.tiers)
    if stage not in known:
        called = topology.names.stage
        raise ConfigError(f"no stage {called(stage)}", f"stages: {', '.join(map(called, known))}")
    if stage in ("api", "query"):  # before anything is opened: without keys they could serve nobody
        serving.cursor_keys(settings, topology.names.domain)
    if stage == "api":
        serving.token_keys(settings, topology)
    logs.configure(settings.log_level)
    if settings.traces:
        tracing.export(topology.names.stage(stage))
    asyncio.run(_run(stage, settings, kafka, cassandra, topology))


async def _run(stage: str, settings: Settings, kafka: str, cassandra: str, topology: Topology) -> None:
    cluster = Cluster(kafka, cassandra, settings.keyspace, settings.schema_registry_url)
    mismatches = await check(topology, cluster)
    if mismatches:
        raise ConfigError(
            f"{stage} does not start on another topology: " + "; ".join(mismatches), "tideline topology apply"
        )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_resources(settings, kafka, cassandra, topology) as resources:
        match stage:
            case "api":
                serve = _api(resources, settings)
            case "auditor" | "controller":
                serve = _watcher(stage, resources)
            case _:
                serve = _faust(stage, resources)
        async with serve as ended:
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
            crashed = not stop.is_set()
            stopping.cancel()
    if crashed:
        raise EngineError(f"{stage}: it crashed", "see the log above; the supervisor restarts it")


@asynccontextmanager
async def _faust(stage: str, resources: LiveResources) -> AsyncIterator[asyncio.Task[None]]:
    """The stage's Faust app, started; yields a task that ends when the app does."""
    async with AsyncExitStack() as stack:
        datadir = stack.enter_context(tempfile.TemporaryDirectory(prefix="tideline-"))
        app, watchdog = apps.faust_app(stage, resources, Path(datadir))
        app.on_partitions_assigned.connect(_on_assigned(stage, resources.settings), weak=False)
        app.finalize()
        await app.start()
        ended = asyncio.create_task(_until_either(stage, app.wait_until_stopped(), watchdog.bark()))
        try:
            yield ended
        finally:
            await app.stop()
            ended.cancel()


async def _until_either(
    stage: str, stopped: Coroutine[Any, Any, None], barked: Coroutine[Any, Any, str]
) -> None:
    """Return when the app has stopped, or when it has stalled."""
    async with asyncio.TaskGroup() as group:
        app, dog = group.create_task(stopped), group.create_task(barked)
        await asyncio.wait({app, dog}, return_when=asyncio.FIRST_COMPLETED)
        if dog.done():
            _log.error("stage.stalled", stage=stage, why=dog.result(), next="it ends, and is started again")
        app.cancel()
        dog.cancel()


def _on_assigned(stage: str, settings: Settings):  # type: ignore[no-untyped-def]
    server, _ = start_http_server(settings.metrics_port, addr=settings.metrics_host)

    async def assigned(_app: object, assigned: object, **_: object) -> None:
        _log.info("stage.assigned", stage=stage, partitions=len(assigned))  # type: ignore[arg-type]
        _tell_ready(stage, server.server_port)

    return assigned


@asynccontextmanager
async def _api(resources: LiveResources, settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """The HTTP API, listening; yields a task that never ends by itself."""
    app = wiring.api(resources)
    async with (
        door.listening(api.beside(app), settings.metrics_host, settings.metrics_port) as metrics,
        door.listening(app, settings.host, settings.port) as port,
    ):
        serving.tune()
        _log.info("api.listening", url=f"http://{settings.host}:{port}", metrics=metrics)
        _tell_ready("api", metrics, api=port)
        forever = asyncio.create_task(asyncio.Event().wait())
        try:
            yield forever  # type: ignore[misc]
        finally:
            forever.cancel()


@asynccontextmanager
async def _watcher(stage: str, resources: LiveResources) -> AsyncIterator[asyncio.Task[None]]:
    """Who looks at the others, at work; yields its task, which never ends by itself."""
    settings = resources.settings
    server, _ = start_http_server(settings.metrics_port, addr=settings.metrics_host)
    task = asyncio.create_task((await wiring.builder(stage)(resources)).run())
    _tell_ready(stage, server.server_port)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
        server.shutdown()


def _tell_ready(stage: str, port: int, **more: int) -> None:
    """Tell the supervisor, if there is one, by a file that appears whole. `port`: of the metrics."""
    path = os.environ.get("TIDELINE_READY_FILE")
    if path:
        fresh = Path(path + ".new")
        fresh.write_bytes(
            orjson.dumps({"pid": os.getpid(), "stage": stage, "ready": True, "port": port, **more})
        )
        fresh.rename(path)
