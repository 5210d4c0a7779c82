"""Everything on one machine: engines, topology, and every stage under a supervisor.

In this order, and back in reverse: claim the home, engines (unless they run already), topics and tables,
workers. What was started here is stopped at the end; engines that ran before keep running.
"""

import asyncio
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from pipeline import path, topology
from pipeline.auth import home_keys
from pipeline.config.settings import Settings
from pipeline.errors import TidelineError
from pipeline.local import engines, instance, process, secure, signals, users
from pipeline.local.engines import Endpoints, Progress
from pipeline.local.home import first_port
from pipeline.local.instance import Instance
from pipeline.local.logins import cassandra_file, kafka_file
from pipeline.local.process import Child
from pipeline.local.supervisor import Supervisor
from pipeline.local.worker import Job
from pipeline.path import tier_of
from pipeline.runtime import topology_apply
from pipeline.topology import Topology


def run(
    settings: Settings,
    domains: Iterable[str] = (),
    *,
    secured: bool = False,
    say: Progress,
    ready: Callable[[Instance], None],
) -> None:
    """Run the home feed, and these domains beside it, until a signal says stop. `secured`: see `engines.up`.

    `settings.port` 0: any free port; domains get the next free ones. `say` hears what happens before the
    workers start, `ready` the instance once everything answers.
    Raises TidelineError when an instance runs in this home already, or something cannot be started.
    """
    home = settings.home
    whole = topology.load(settings.topology, settings.profile)
    wanted = [whole, *(whole.of(domain) for domain in dict.fromkeys(domains))]
    with suppress(KeyboardInterrupt), signals.interrupting(), instance.claimed(home):
        ports = ports_of(settings.port, home, wanted)
        with _engines(home, say, secured=secured) as endpoints:
            say("topics and tables")
            cluster = topology_apply.Cluster(endpoints.kafka, endpoints.cassandra, settings.keyspace)
            for each in wanted:
                for change in asyncio.run(topology_apply.apply(each, cluster)).changes:
                    say(str(change))
            if _is_secured(settings):
                say("users and permissions")
                keyspaces = [each.names.keyspace(settings.keyspace) for each in wanted]
                asyncio.run(users.bring(home, endpoints, whole, keyspaces))
            described = _described(settings, endpoints, ports)
            jobs = [job for each in wanted for job in jobs_of(described, each, settings, ports)]
            domains = [each.names.domain for each in wanted]
            Supervisor(home, jobs).run(
                described,
                answers=lambda: all(_answers(home, domain) for domain in domains),
                ready=lambda: ready(described),
            )


@contextmanager
def _engines(home: Path, say: Progress, *, secured: bool) -> Iterator[Endpoints]:
    ran_before = any(engine.pid for engine in engines.status(home).values())
    endpoints = engines.up(home, say, secured=secured)
    try:
        yield endpoints
    finally:
        if not ran_before:
            with signals.ignored():  # engines cut short replay their logs at the next start
                say("stopping the engines")
                engines.down(home)


def _described(settings: Settings, endpoints: Endpoints, ports: Mapping[str, int]) -> Instance:
    me = psutil.Process()
    apis = {domain: f"http://127.0.0.1:{port}" for domain, port in ports.items()}
    return Instance(
        supervisor=Child(me.pid, me.create_time()),
        api=apis.pop(""),
        profile=settings.profile,
        kafka=endpoints.kafka,
        cassandra=endpoints.cassandra,
        keyspace=settings.keyspace,
        control="",
        domains=apis,
    )


def jobs_of(described: Instance, wanted: Topology, settings: Settings, ports: Mapping[str, int]) -> list[Job]:
    """Every worker of the topology, in path order."""
    names, port = wanted.names, ports[wanted.names.domain]
    cursors, tokens = settings.cursor_keys.get_secret_value(), settings.token_keys.get_secret_value()
    environment = {
        "TIDELINE_HOME": str(settings.home),
        "TIDELINE_KAFKA": described.kafka,
        "TIDELINE_CASSANDRA": described.cassandra,
        "TIDELINE_PROFILE": described.profile,
        "TIDELINE_KEYSPACE": described.keyspace,
        "TIDELINE_CURSOR_KEYS": cursors or home_keys.cursor_keys(settings.home).read_text(),
        "TIDELINE_TOKEN_KEYS": tokens or home_keys.token_keys(settings.home).read_text(),
        "TIDELINE_API": described.api_of(names.domain),
        "TIDELINE_METRICS_PORT": "0",  # each worker its own: `metrics/targets.json` has them
    }
    if _is_secured(settings):
        environment |= {
            "TIDELINE_KAFKA_CONFIG": str(kafka_file(settings.home, users.WORKERS)),
            "TIDELINE_CASSANDRA_CONFIG": str(cassandra_file(settings.home, users.WORKERS)),
        }
    command = [sys.executable, "-m", "pipeline", "worker"]
    return [
        Job(stage, worker, [*command, stage], {**environment, "TIDELINE_PORT": str(port + worker)})
        for stage, workers in ((names.stage(one), n) for one, n in workers_by_stage(wanted).items())
        for worker in range(workers)
    ]


def _is_secured(settings: Settings) -> bool:
    """Whether users and permissions are ours to make: clusters of the user's own have theirs already."""
    return secure.is_secure(settings.home) and not (settings.kafka or settings.cassandra)


def workers_by_stage(wanted: Topology) -> dict[str, int]:
    """How many processes each stage has, in path order: as the topology says, else one or none."""

    def workers(stage: str) -> int:
        tier = tier_of(stage)
        spec = wanted.stages.get(stage) if tier is None else wanted.tiers[tier]
        return int(path.STAGES[stage].always) if spec is None else spec.workers

    return {stage: workers(stage) for stage in path.names(wanted.tiers)}


def ports_of(wanted: int, home: Path, topologies: Iterable[Topology]) -> dict[str, int]:
    """By domain, the first port of its API; each process of an API has one, and they follow each other.

    The first topology gets `wanted`, or TidelineError says why it cannot; 0: any. The others get the next
    free ones.
    """
    begin = wanted or first_port(home.expanduser().absolute()) + 4
    found: dict[str, int] = {}
    for each in topologies:
        processes = workers_by_stage(each)["api"]
        port = process.free_ports_together(processes, begin)
        if wanted and not found and port != wanted:
            raise TidelineError(_why_not(wanted, processes), "--port 0 takes any that is free")
        found[each.names.domain] = port
        begin = port + processes
    return found


def _why_not(port: int, processes: int) -> str:
    if processes == 1:
        return f"port {port} is taken, or may not be listened on"
    last = port + processes - 1
    return f"ports {port} to {last}, one for each process of the API, are not all free"


def _answers(home: Path, domain: str) -> bool:
    beside = instance.beside_api(home, domain)
    try:
        with urllib.request.urlopen(f"{beside}/readyz", timeout=2) as answer:  # noqa: S310 - our own URL
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False
