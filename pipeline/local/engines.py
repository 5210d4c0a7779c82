"""Kafka and Cassandra of one home: `up`, `down`, `status`.

A home is a folder with everything one pair of engines has: configuration, data, logs, ports and, while the
pair is up, `engines.json` with its endpoints and pids. Homes do not know of each other and share nothing
but the jars.

`up` guarantees that both engines answer when it returns; that what already runs is left alone; that the
data of a killed engine is kept; and that whatever `up` started is gone again if it raises, Ctrl-C included.
The engines survive the process that started them and its terminal. `up` and `down` of one home take turns.

An engine of which the user has one already (TIDELINE_KAFKA, TIDELINE_CASSANDRA) is used and never started
or stopped. Shown by tests/local/test_local_engines.py.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.config.settings import Settings
from pipeline.errors import EngineError
from pipeline.kafka import client
from pipeline.local import cassandra, jars, kafka, logins, secure
from pipeline.local.home import Endpoints, Home
from pipeline.local.process import Child, start_java, stop, tail

__all__ = ["Endpoints", "EngineStatus", "down", "status", "up"]

Progress = Callable[[str], None]

# Under 10 s on two idle cores; a busy machine and a long commit log to replay get ten times that.
START_DEADLINE_SECONDS = 120.0
# A cluster that exists already answers at once or is not there.
GIVEN_DEADLINE_SECONDS = 10.0
# Draining takes an idle Cassandra 4 s; a loaded one has memtables to flush.
STOP_GRACE_SECONDS = 30.0
POLL_SECONDS = 0.05


class Engine(Protocol):
    """What `up` has to know of an engine; the modules `kafka` and `cassandra` are the two."""

    TITLE: str
    COORDINATE: str

    def configure(self, home: Path, port: int, inner_port: int, /) -> None:
        """Render the configuration; the inner port is the engine's own (controller, storage)."""

    def prepare(self, classpath: str, home: Path, /) -> None:
        """What has to happen once before the first start."""

    def command(self, classpath: str, home: Path, /) -> list[str]:
        """The arguments for Java."""

    def is_ready(self, address: str, /) -> bool:
        """Whether the engine answers there."""


# Cassandra first: it takes longest, and Kafka's storage is formatted while it starts.
ENGINES: dict[str, Engine] = {"cassandra": cassandra, "kafka": kafka}


@dataclass(frozen=True)
class EngineStatus:
    """One engine as `status` finds it. `pid` is None unless this home runs it."""

    address: str
    pid: int | None
    up: bool


def up(home: Path, progress: Progress, *, secured: bool = False) -> Endpoints:
    """Start what does not run yet and return when both engines answer; this process can log in at them.

    `secured`: with TLS, users and permissions, which a home that was once started so always has.
    """
    place = Home(home)
    settings = Settings(home=place.folder)
    given = _given(settings)
    with place.turn(lambda: progress("waiting for another `up` or `down` of this home")):
        place.await_the_killed()
        running = place.children()
        if secured:
            secure.make(place.folder)
        absent = [name for name in ENGINES if name not in given and name not in running]
        started: dict[str, Child] = {}
        try:
            classpaths = {name: jars.classpath(ENGINES[name].COORDINATE, progress) for name in absent}
            ports = {name: place.choose_ports(name) for name in absent}
            endpoints = Endpoints(**{name: given.get(name) or place.address(name) for name in ENGINES})
            logins.use(settings, endpoints)
            place.record(endpoints, running)
            for name in absent:
                progress(f"starting {ENGINES[name].TITLE}")
                started[name] = _start(name, place, ports[name], classpaths[name])
                place.record(endpoints, running | started)
            children = {name: child for name, child in (running | started).items() if name not in given}
            _wait_until_ready(place, endpoints, children, progress)
            if "cassandra" in started and secure.is_secure(place.folder):
                from pipeline.store.cassandra import roles  # with the driver, which nothing else here needs

                asyncio.run(roles.take_over(endpoints.cassandra))
        except BaseException:
            # Nobody could use them yet, so there is nothing that a gentle stop would save.
            stop(started.values(), grace=0)
            if not running:
                place.forget()
            raise
        return endpoints


def down(home: Path, *, purge: bool = False) -> list[str]:
    """Stop what this home runs and return its names when it is gone; `purge` deletes data and logs too."""
    place = Home(home)
    if not place.folder.is_dir():
        return []
    with place.turn(lambda: None):
        running = place.children()
        stop(running.values(), STOP_GRACE_SECONDS)
        place.forget()
        if purge:
            place.purge()
        return list(running)


def status(home: Path) -> dict[str, EngineStatus]:
    """Both engines, asked now."""
    place = Home(home)
    settings = Settings(home=place.folder)
    given, children = _given(settings), place.children()
    logins.use(settings, Endpoints(**{name: given.get(name) or place.address(name) for name in ENGINES}))
    found: dict[str, EngineStatus] = {}
    for name, engine in ENGINES.items():
        address = given.get(name) or place.address(name)
        pid = children[name].pid if name in children and name not in given else None
        known = name in given or pid is not None
        found[name] = EngineStatus(address, pid, up=known and engine.is_ready(address))
    return found


def _given(settings: Settings) -> dict[str, str]:
    """The clusters of the user's own, by engine."""
    return {n: a for n, a in {"kafka": settings.kafka, "cassandra": settings.cassandra}.items() if a}


def _start(name: str, place: Home, ports: tuple[int, int], jars_: Iterable[Path]) -> Child:
    engine, classpath = ENGINES[name], os.pathsep.join(map(str, jars_))
    engine.configure(place.folder, *ports)
    engine.prepare(classpath, place.folder)
    return start_java(engine.command(classpath, place.folder), place.log(name))


def _wait_until_ready(
    place: Home, endpoints: Endpoints, children: dict[str, Child], progress: Progress
) -> None:
    """Return when every engine answers; an engine without a child is a cluster of the user's own."""
    begin = time.monotonic()
    waiting = set(ENGINES)
    while waiting:
        for name in sorted(waiting):
            elapsed, title, address = time.monotonic() - begin, ENGINES[name].TITLE, getattr(endpoints, name)
            if ENGINES[name].is_ready(address):
                waiting.remove(name)
                progress(f"{title} answers after {elapsed:.1f} s")
            elif name not in children:
                if elapsed > GIVEN_DEADLINE_SECONDS:
                    client.knock(endpoints.kafka)  # a password that is wrong is not a broker that is away
                    hint = f"TIDELINE_{name.upper()} names it; unset it to have one started here"
                    raise EngineError(f"{title} does not answer at {address}", hint)
            elif not children[name].process():
                raise _failure(name, place, "ended while it was starting")
            elif elapsed > START_DEADLINE_SECONDS:
                raise _failure(name, place, f"does not answer after {elapsed:.0f} s")
        if waiting:
            time.sleep(POLL_SECONDS)


def _failure(name: str, place: Home, what: str) -> EngineError:
    log = place.log(name)
    message = f"{ENGINES[name].TITLE} {what}; its log ends with\n{tail(log)}"
    return EngineError(message, hint=f"the whole log: {log}")
