"""The fixture every engine test stands on: a real Kafka and a real Cassandra, one pair a session.

With TIDELINE_KAFKA and TIDELINE_CASSANDRA set the tests use those (`tideline up` prints them); otherwise a
pair is started on a temporary home and removed at the end. Tests share the pair, so they name topics and
keyspaces of their own. A test that asks for `engines` is marked `engines`: `pytest -m "not engines"`.

`make test` runs two processes (pytest-xdist): one for the tests of running instances, which mostly wait for
them, and one for all others, with a pair of its own, which gets what processor time the first leaves. Each has
its tests in the order they were collected in.
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from tests.leftovers import taken_down

INSTANCES = ("tests/engines/", "tests/faults/", "tests/hostile/", "tests/instances/")
"""Where instances are run, a dozen processes each: one after another, as two cores have no room for more."""

STEP_BACK = 10
"""The niceness of the process of all others: a tenth of a processor where the other one wants all."""

# The default renderer draws each traceback with its locals in colour, which takes most of a second.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.LogfmtRenderer(),
    ]
)


@dataclass(frozen=True)
class Engines:
    """Where the engines are, each as `host:port[,host:port…]`."""

    kafka: str
    cassandra: str


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """A running Kafka and Cassandra."""
    given = _given()
    if all(given):
        yield Engines(*given)
        return
    if any(given):
        pytest.fail("set both TIDELINE_KAFKA and TIDELINE_CASSANDRA, or neither")
    from pipeline.local.engines import up

    home = tmp_path_factory.mktemp("engines")
    with taken_down(home):
        endpoints = up(home, progress=lambda _: None)
        yield Engines(endpoints.kafka, endpoints.cassandra)


def pytest_configure() -> None:
    """Tests interrupt processes they start: those must not inherit that a shell's background job ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The process of all others steps back, engines and all, or running instances would be late in their tests."""
    if "PYTEST_XDIST_WORKER" in os.environ and not _of_instances(item.nodeid):
        os.nice(STEP_BACK - os.nice(0))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the engines, before `-m` selects."""
    for item in items:
        if "engines" in getattr(item, "fixturenames", ()):
            item.add_marker("engines")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Who runs what: a process for instances and one for the rest; on given engines one for all."""
    from xdist.scheduler import LoadScopeScheduling

    class Shares(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "instances" if _of_instances(nodeid) else "rest"

    return Shares(config, log)


def _of_instances(nodeid: str) -> bool:
    return nodeid.startswith(INSTANCES) or any(_given())


def _given() -> tuple[str, str]:
    """The engines the user has already."""
    return os.environ.get("TIDELINE_KAFKA", ""), os.environ.get("TIDELINE_CASSANDRA", "")
