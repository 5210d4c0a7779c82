"""Kafka and Cassandra of one home: `up`, `down`, `status`.

A home is a folder with everything one pair of engines has: configuration, data, logs, ports and, while the
pair is up, `engines.json` with its endpoints and pids. Homes do not know of each other and share nothing
but the jars.

`up` guarantees that both engines answer when it returns; that what already runs is left alone; that the
data of a killed engine is kept; and that whatever `up` started is gone again if it raises, Ctrl-C included.
The engines survive the process that started them and its terminal. `up` and `down` of one home take turns.

An engine of which the user has one already (TIDELINE_KAFKA, TIDELINE_CASSANDRA) is used and never started
or stopped. Shown by tests/engines/test_local_engines.py.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.errors import EngineError
from pipeline.local import cassandra, jars, kafka
from pipeline.local.home import Endpoints, Home
from pipeline.local.process import Child, start_java, stop, tail
from pipeline.settings import Settings

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


def up(home: Path, progress: Progress) -> Endpoints:
    """Start what does not run yet and return when both engines answer."""
    place = Home(home)
    given = _given()
    with place.turn(lambda: progress("waiting for another `up` or `down` of this home")):
        running = place.children()
        absent = [name for name in ENGINES if name not in given and name not in running]
        started: dict[str, Child] = {}
        try:
            classpaths = {name: jars.classpath(ENGINES[name].COORDINATE, progress) for name in absent}
            for name in absent:
                progress(f"starting {ENGINES[name].TITLE}")
                started[name] = _start(name, place, os.pathsep.join(map(str, classpaths[name])))
                place.record(_endpoints(place, given), running | started)
            _wait_until_ready(place, given, running | started, progress)
        except BaseException:
            # Nobody could use them yet, so there is nothing that a gentle stop would save.
            stop(started.values(), grace=0)
            raise
        endpoints = _endpoints(place, given)
        place.record(endpoints, running | started)
        return endpoints


def down(home: Path, *, purge: bool = False) -> list[str]:
    """Stop what this home runs, and return its names when it is gone; `purge` deletes data, logs and ports
    too.
    """
    place = Home(home)
    if not place.folder.is_dir():
        return []
    with place.turn(lambda: None):
        running = place.children()
        stop(running.values(), STOP_GRACE_SECONDS)
        place.forget(ports=purge)
        if purge:
            for folder in (*ENGINES, "logs"):
                shutil.rmtree(place.folder / folder, ignore_errors=True)
        return list(running)


def status(home: Path) -> dict[str, EngineStatus]:
    """Both engines, asked now."""
    place, given = Home(home), _given()
    children = place.children()
    found: dict[str, EngineStatus] = {}
    for name, engine in ENGINES.items():
        address = given.get(name) or place.address(name)
        pid = children[name].pid if name in children and name not in given else None
        known = name in given or pid is not None
        found[name] = EngineStatus(address, pid, up=known and engine.is_ready(address))
    return found


def _given() -> dict[str, str]:
    """The clusters of the user's own, by engine."""
    settings = Settings()
    return {n: a for n, a in {"kafka": settings.kafka, "cassandra": settings.cassandra}.items() if a}


def _endpoints(place: Home, given: dict[str, str]) -> Endpoints:
    addresses = {name: given.get(name) or place.address(name) for name in ENGINES}
    return Endpoints(**addresses)


def _start(name: str, place: Home, classpath: str) -> Child:
    engine = ENGINES[name]
    engine.configure(place.folder, *place.choose_ports(name))
    engine.prepare(classpath, place.folder)
    return start_java(engine.command(classpath, place.folder), place.log(name))


def _wait_until_ready(
    place: Home, given: dict[str, str], children: dict[str, Child], progress: Progress
) -> None:
    """Return when every engine answers; raise an EngineError that shows the log of the one that does not."""
    begin = time.monotonic()
    waiting = set(ENGINES)
    while waiting:
        elapsed = time.monotonic() - begin
        for name in sorted(waiting):
            if ENGINES[name].is_ready(given.get(name) or place.address(name)):
                waiting.remove(name)
                progress(f"{ENGINES[name].TITLE} answers after {elapsed:.1f} s")
            elif name in given:
                if elapsed > GIVEN_DEADLINE_SECONDS:
                    raise EngineError(
                        f"{ENGINES[name].TITLE} does not answer at {given[name]}",
                        hint=f"TIDELINE_{name.upper()} names it; unset it to have one started here",
                    )
            elif not children[name].process():
                raise _failure(name, place, "ended while it was starting")
            elif elapsed > START_DEADLINE_SECONDS:
                raise _failure(name, place, f"does not answer after {elapsed:.0f} s")
        time.sleep(POLL_SECONDS if waiting else 0)


def _failure(name: str, place: Home, what: str) -> EngineError:
    log = place.log(name)
    message = f"{ENGINES[name].TITLE} {what}; its log ends with\n{tail(log)}"
    return EngineError(message, hint=f"the whole log: {log}")
