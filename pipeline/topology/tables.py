"""The tables as CQL: a file with placeholders that the topology fills in."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.topology.specs import RoutingSpec


def read(file: Path, routing: RoutingSpec) -> str:
    """The file, whose placeholders are all known. Raises ConfigError when they are not."""
    try:
        cql = file.read_text()
        render(cql, "trial", 1, routing)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"{file}: {error}: not a placeholder", "there are {keyspace}, {replication} and {window_seconds}"
        ) from error
    return cql


def render(cql: str, keyspace: str, replication: int | Mapping[str, str], routing: RoutingSpec) -> str:
    """The statements. `replication`: copies in every data centre, or Cassandra's own map of them."""
    if isinstance(replication, int):
        replication = {"class": "NetworkTopologyStrategy", "replication_factor": str(replication)}
    options = ", ".join(f"'{option}': '{value}'" for option, value in replication.items())
    return cql.format(
        keyspace=keyspace, replication=f"{{{options}}}", window_seconds=routing.window_ms // 1000
    )
