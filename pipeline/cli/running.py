"""What commands ask of a running instance, and what they print on a terminal or into a pipe."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.names import Names
    from pipeline.settings import Settings
    from pipeline.topology import Topology


def topology_of(given: "Settings") -> "Topology":
    """The topology of the running instance; of the environment and the options when none runs.

    Raises ConfigError when there is no such domain.
    """
    from pipeline import topology
    from pipeline.local.instance import NoInstanceError, find

    try:
        profile = find(given.home).profile
    except NoInstanceError:
        profile = given.profile
    return topology.load(given.topology, profile).of(given.domain)


def names_of(given: "Settings") -> "Names":
    """What the topics of the domain are called, without reading a topology for the home feed."""
    from pipeline.names import HOME

    return topology_of(given).names if given.domain else HOME


def keyspace_of(given: "Settings") -> str:
    """The keyspace of the domain: of the running instance, or as the environment says when none runs."""
    from pipeline.local.instance import NoInstanceError, find

    try:
        home = find(given.home).keyspace
    except NoInstanceError:
        home = given.keyspace
    return names_of(given).keyspace(home)


def use_registry(given: "Settings", names: "Names") -> None:
    """Read records as the stages do: with the schema registry, where one is configured."""
    from pipeline import codec
    from pipeline.kafka.registry import SchemaRegistry

    if given.schema_registry_url:
        codec.use(SchemaRegistry(given.schema_registry_url, names).lookups())


def local_time(at_ms: int) -> str:
    """A time (ms) as people here read it, to the second."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().isoformat(sep=" ", timespec="seconds")[:19]


def plain(text: str) -> str:
    """Without what a terminal would obey: for text that strangers wrote."""
    return "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)


def print_json(value: Any) -> None:
    """A value as one line of JSON on stdout."""
    import orjson

    typer.echo(orjson.dumps(value).decode())


def print_table(table: "Table") -> None:
    """A table on stdout: as wide as the terminal, and into a pipe as wide as it is."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)


_PIPE_WIDTH = 1000
