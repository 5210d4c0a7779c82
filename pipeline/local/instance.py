"""The running instance of a home: who supervises it, where it answers, and its workers.

HOME/instance.json is replaced whole whenever something changes, and removed when the instance stops. One left
behind by a killed supervisor is recognised and counts as none; a lock on HOME/run/lock keeps a second
instance out. Also here: where the engines are, for every command that talks to them.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from pipeline.config import names
from pipeline.config.settings import Settings
from pipeline.errors import EngineError, TidelineError
from pipeline.kafka import client
from pipeline.local import logins
from pipeline.local.home import Endpoints, keep_private
from pipeline.local.process import Child
from pipeline.local.worker import State, WorkerStatus


class NoInstanceError(TidelineError):
    """Nothing runs in this home."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What instance.json says. `supervisor` is a process, `control` the socket it listens on.

    `domains`: those that run beside the home feed, and where the API of each answers.
    """

    supervisor: Child
    api: str
    profile: str
    kafka: str
    cassandra: str
    keyspace: str
    control: str
    workers: tuple[WorkerStatus, ...] = ()
    domains: dict[str, str] = field(default_factory=dict)

    def api_of(self, domain: str) -> str:
        """Where the API of a domain answers. Raises NoInstanceError when the domain does not run here."""
        if domain and domain not in self.domains:
            raise NoInstanceError(
                f"domain {domain} does not run in this instance", f"tideline run --domain {domain}"
            )
        return self.domains[domain] if domain else self.api

    def beside_api_of(self, domain: str) -> str:
        """Where an API of a domain says whether it is ready, and how far it has read; empty while none is."""
        stage = names.Names(domain).stage("api")
        ports = [worker.port for worker in self.workers if worker.stage == stage and worker.port]
        return f"http://127.0.0.1:{ports[0]}" if ports else ""


def find(home: Path) -> Instance:
    """The running instance. Raises NoInstanceError when there is none, or only what a dead one left."""
    try:
        instance = _from_json(orjson.loads(_file(home).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        instance = None
    if instance is None or instance.supervisor.process() is None:
        raise NoInstanceError(f"no running instance in {home}", f"tideline run --home {home}")
    return instance


def beside_api(home: Path, domain: str) -> str:
    """The same of whatever instance runs there now."""
    try:
        return find(home).beside_api_of(domain)
    except NoInstanceError:
        return ""


def stages(home: Path) -> tuple[WorkerStatus, ...]:
    """The workers of the running instance, in path order; none when nothing runs."""
    try:
        return find(home).workers
    except NoInstanceError:
        return ()


@contextmanager
def claimed(home: Path) -> Iterator[None]:
    """Be the only instance of this home, until the end or until this process dies.

    Raises TidelineError when there is one already. What a dead one left behind is removed, before and after.
    """
    keep_private(home)
    run = home / "run"
    run.mkdir(parents=True, exist_ok=True)
    with (run / "lock").open("w") as file:  # never deleted: the lock is on the file, not on its name
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TidelineError(
                f"an instance runs in {home} already", f"tideline stop --home {home}, or another --home"
            ) from None
        _file(home).unlink(missing_ok=True)
        try:
            yield
        finally:
            _file(home).unlink(missing_ok=True)


def record(home: Path, instance: Instance) -> None:
    """Replace instance.json."""
    fresh = _file(home).with_suffix(".new")
    fresh.write_bytes(orjson.dumps(instance, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    fresh.replace(_file(home))


def endpoints_of(settings: Settings) -> Endpoints:
    """Where the engines are: as the environment says, else those of the home; this process logs in there.

    Raises EngineError when neither knows, or Kafka refuses the login.
    """
    try:
        found = Endpoints.from_json((settings.home / "engines.json").read_text())
    except (OSError, ValueError, KeyError):
        found = Endpoints("", "")
    kafka, cassandra = settings.kafka or found.kafka, settings.cassandra or found.cassandra
    if not kafka or not cassandra:
        raise EngineError(
            f"no engines in {settings.home}",
            f"tideline up --home {settings.home}, or set TIDELINE_KAFKA and TIDELINE_CASSANDRA",
        )
    return _logged_in(settings, Endpoints(kafka, cassandra))


def kafka_of(settings: Settings) -> str:
    """Where Kafka is, for those who need nothing else. Raises EngineError as `endpoints_of` does."""
    if settings.kafka:
        return _logged_in(settings, Endpoints(settings.kafka, settings.cassandra)).kafka
    return endpoints_of(settings).kafka


def _logged_in(settings: Settings, endpoints: Endpoints) -> Endpoints:
    logins.use(settings, endpoints)
    client.knock(endpoints.kafka)
    return endpoints


def _file(home: Path) -> Path:
    return home / "instance.json"


def _from_json(document: dict[str, Any]) -> Instance:
    workers = [WorkerStatus(**{**worker, "state": State(worker["state"])}) for worker in document["workers"]]
    return Instance(**{**document, "supervisor": Child(**document["supervisor"]), "workers": tuple(workers)})
