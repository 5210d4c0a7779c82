"""What commands ask of a running instance, and what they print on a terminal or into a pipe."""

import sys
from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from pipeline.telemetry.printable import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.config.names import Names
    from pipeline.config.settings import Settings
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
    from pipeline.config.names import HOME

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
    from pipeline.kafka.registry import SchemaRegistry
    from pipeline.wire import codec

    if given.schema_registry_url:
        codec.use(SchemaRegistry(given.schema_registry_url, names).lookups(waits=False))


def local_time(at_ms: int) -> str:
    """A time (ms) as people here read it, to the second."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().isoformat(sep=" ", timespec="seconds")[:19]


def echo(*lines: object, err: bool = False) -> None:
    """Lines on stdout, or on stderr: nothing in them drives the terminal, and none is two."""
    for line in lines:
        typer.echo(one_line(str(line)), err=err)


def print_json(value: Any, *, indented: bool = False) -> None:
    """A value as one line of JSON on stdout, or indented for who reads it."""
    typer.echo(json_text(value, indented=indented))  # as it is: a program reads it


def json_text(value: Any, *, indented: bool = False) -> str:
    """A value as the JSON of every command: ids are text, as all numbers are that a double cannot hold.

    jq and JavaScript read numbers as doubles and would make another id of one above 2^53. A small id is text
    too, so that who reads them always finds one type. Ids are known by the names of their fields.
    """
    import orjson

    return orjson.dumps(_with_ids_as_text(value), option=orjson.OPT_INDENT_2 if indented else 0).decode()


def _with_ids_as_text(value: Any, *, is_id: bool = False) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in dataclass_fields(value)}
    match value:
        case bool() | None:
            return value
        case int():
            return str(value) if is_id or abs(value) > _DOUBLE_HOLDS else int(value)
        case str():
            return str(value).encode(errors="backslashreplace").decode()
        case Mapping():
            return {
                _text(name): _with_ids_as_text(one, is_id=_names_an_id(name)) for name, one in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [_with_ids_as_text(one, is_id=is_id) for one in value]
        case bytes():
            return value.decode(errors="backslashreplace")
    return value


def _text(name: object) -> str:
    return str(name).encode(errors="backslashreplace").decode()


def _names_an_id(name: object) -> bool:
    return isinstance(name, str) and (name in _IDS or name.endswith(("_id", "_ids")))


_DOUBLE_HOLDS = 2**53
_IDS = frozenset({"ids", "after_author", "lo", "hi", "retracted_before"})
"""Ids that are not called so: of page changes, and bounds in records."""


def print_table(table: "Table", *, err: bool = False) -> None:
    """A table on stdout or stderr: as wide as the terminal, and into a pipe as wide as it is."""
    from rich.console import Console

    seen = (sys.stderr if err else sys.stdout).isatty()
    Console(stderr=err, width=None if seen else _PIPE_WIDTH).print(table)


_PIPE_WIDTH = 1000
