"""The Avro schemas of `schemas/`, read once: the current one of each record, and every one ever released.

`schemas/<name>.avsc` is current; `schemas/history/<name>/<version>.avsc` are the releases. A schema is known
on the wire by the CRC-64-AVRO fingerprint of its Parsing Canonical Form, little-endian as in Avro's
single-object encoding; versions that differ in docs or defaults alone share it, and read alike.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from pipeline.config import shipped

Schema = dict[str, Any]
"""A schema as parsed JSON."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """What one record reads: `current`, which is also written, and each release by its fingerprint."""

    current: Schema
    fingerprint: bytes
    releases: Mapping[bytes, Schema]


def file_name(record: type[Any]) -> str:
    """The name of a record's files: `post_event` for PostEvent."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", record.__name__).lower()


def fingerprint_of(schema: Schema) -> bytes:
    """The 8 bytes that stand for this schema on the wire."""
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def source(record: type[Any]) -> str:
    """The text of a record's current schema, as it is registered."""
    return (shipped.folder("schemas") / f"{file_name(record)}.avsc").read_text()


def versions(name: str) -> list[Path]:
    """The released schema files of a record, oldest first."""
    history = shipped.folder("schemas") / "history" / name
    return sorted(history.glob("*.avsc"), key=lambda path: int(path.stem))


def lineage(record: type[Any]) -> Lineage:
    """The schemas of a record class, read at the first call. FileNotFoundError for a class that has none."""
    found = _lineages.get(record)
    if found is None:
        found = _lineages[record] = _load(record)
    return found


_lineages: dict[type[Any], Lineage] = {}


def _load(record: type[Any]) -> Lineage:
    current: Schema = json.loads(source(record))
    known = [*(json.loads(path.read_text()) for path in versions(file_name(record))), current]
    parsed = {fingerprint_of(schema): fastavro.parse_schema(schema) for schema in known}
    own = fingerprint_of(current)
    return Lineage(parsed[own], own, MappingProxyType(parsed))
