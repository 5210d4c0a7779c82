"""The fixture every engine test stands on: a real Kafka and a real Cassandra, one pair a session.

With TIDELINE_KAFKA and TIDELINE_CASSANDRA set the tests use those (`tideline up` prints them); otherwise a
pair is started on a temporary home and removed at the end. Tests share the pair, so they name topics and
keyspaces of their own. A test that asks for `engines` is marked `engines`: `pytest -m "not engines"`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import structlog

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
    given = os.environ.get("TIDELINE_KAFKA", ""), os.environ.get("TIDELINE_CASSANDRA", "")
    if all(given):
        yield Engines(*given)
        return
    if any(given):
        pytest.fail("set both TIDELINE_KAFKA and TIDELINE_CASSANDRA, or neither")
    from pipeline.local.engines import down, up

    home = tmp_path_factory.mktemp("engines")
    endpoints = up(home, progress=lambda _: None)
    try:
        yield Engines(endpoints.kafka, endpoints.cassandra)
    finally:
        down(home, purge=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the engines, before `-m` selects."""
    for item in items:
        if "engines" in getattr(item, "fixturenames", ()):
            item.add_marker("engines")
