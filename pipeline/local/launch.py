"""Everything on one machine: engines, topology, and every stage under a supervisor.

In this order, and back in reverse: claim the home, engines (unless they run already), topics and tables,
workers. What was started here is stopped at the end; engines that ran before keep running.
"""

import asyncio
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from pipeline import topology
from pipeline.errors import TidelineError
from pipeline.local import engines, instance, process, signals
from pipeline.local.engines import Endpoints, Progress
from pipeline.local.home import first_port
from pipeline.local.instance import Instance
from pipeline.local.process import Child
from pipeline.local.supervisor import Supervisor
from pipeline.local.worker import Job
from pipeline.ops import topology_apply
from pipeline.settings import Settings
from pipeline.topology import Topology


def run(settings: Settings, *, say: Progress, ready: Callable[[str], None]) -> None:
    """Run the whole pipeline until a signal says stop. `settings.port` 0: any free port.

    `say` hears what happens before the workers start, `ready` the URL of the API once everything answers.
    Raises TidelineError when an instance runs in this home already, or something cannot be started.
    """
    home = settings.home
    wanted = topology.load(settings.topology, settings.profile)
    with suppress(KeyboardInterrupt), signals.interrupting(), instance.claimed(home):
        port = _port(settings.port, home)
        with _engines(home, say) as endpoints:
            say("topics and tables")
            cluster = topology_apply.Cluster(endpoints.kafka, endpoints.cassandra, settings.keyspace)
            for change in asyncio.run(topology_apply.apply(wanted, cluster)).changes:
                say(str(change))
            described = _described(settings, endpoints, port)
            Supervisor(home, _jobs(described, wanted, settings, port)).run(
                described, answers=lambda: _answers(described.api), ready=lambda: ready(described.api)
            )


@contextmanager
def _engines(home: Path, say: Progress) -> Iterator[Endpoints]:
    ran_before = any(engine.pid for engine in engines.status(home).values())
    endpoints = engines.up(home, say)
    try:
        yield endpoints
    finally:
        if not ran_before:
            with signals.ignored():  # engines cut short replay their logs at the next start
                say("stopping the engines")
                engines.down(home)


def _described(settings: Settings, endpoints: Endpoints, port: int) -> Instance:
    me = psutil.Process()
    return Instance(
        supervisor=Child(me.pid, me.create_time()),
        api=f"http://127.0.0.1:{port}",
        profile=settings.profile,
        kafka=endpoints.kafka,
        cassandra=endpoints.cassandra,
        keyspace=settings.keyspace,
        cursor_key=str(instance.cursor_key(settings.home)),
        control="",
    )


def _jobs(described: Instance, wanted: Topology, settings: Settings, port: int) -> list[Job]:
    """Every worker of the topology, in path order."""
    key = instance.signing(settings).cursor_key.get_secret_value()
    given = settings.token_keys.get_secret_value()
    environment = {
        "TIDELINE_HOME": str(settings.home),
        "TIDELINE_KAFKA": described.kafka,
        "TIDELINE_CASSANDRA": described.cassandra,
        "TIDELINE_PROFILE": described.profile,
        "TIDELINE_KEYSPACE": described.keyspace,
        "TIDELINE_CURSOR_KEY": key,
        "TIDELINE_TOKEN_KEYS": given or instance.token_keys(settings.home).read_text(),
        "TIDELINE_API": described.api,
    }
    command = [sys.executable, "-m", "pipeline", "worker"]
    return [
        Job(stage, worker, [*command, stage], {**environment, "TIDELINE_PORT": str(port + worker)})
        for stage, workers in workers_by_stage(wanted).items()
        for worker in range(workers)
    ]


def workers_by_stage(wanted: Topology) -> dict[str, int]:
    """How many processes each stage has, in path order; unless the topology says so one API, no auditor."""
    stages = {name: spec.workers for name, spec in wanted.stages.items()}
    tiers = {f"fanout.{name}": spec.workers for name, spec in wanted.tiers.items()}
    query, api, auditor = stages.pop("query"), stages.pop("api", 1), stages.pop("auditor", 0)
    return {**stages, **tiers, "query": query, "api": api, "auditor": auditor}


def _port(wanted: int, home: Path) -> int:
    if not wanted:
        return process.free_ports([], 1, first_port(home.expanduser().absolute()) + 4, set())[0]
    if not process.is_free(wanted):
        raise TidelineError(f"port {wanted} is taken", "--port 0 takes any free one")
    return wanted


def _answers(api: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api}/readyz", timeout=2) as answer:  # noqa: S310 - our own URL
            return bool(answer.status == 200)
    except OSError:
        return False
