"""Records to Avro bytes and back.

Written: Avro single-object encoding, `C3 01`, the schema's fingerprint, the record; or the Confluent wire
format, `00`, a 4-byte id, the record, when a registry is configured with `use`. Read: both, in any schema
version ever released, resolved to the current one. `decode` raises CodecError for bytes it cannot turn into
the record asked for and nothing else, so that a caller can send them to the dead letters; only a registry
that does not answer is another error (whatever its resolver raises), because then the bytes may be good.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from operator import attrgetter, itemgetter
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import fastavro
from fastavro.schema import SchemaParseException

from pipeline.errors import TidelineError, Unavailable
from pipeline.wire.schemas import Schema, fingerprint_of, lineage

R = TypeVar("R")

MAX_MESSAGE_BYTES = 1024 * 1024
"""Bytes of a message at most: several times what any event may hold, so nothing larger is worth a look."""

MAX_VALUE_BYTES = MAX_MESSAGE_BYTES - 16 * 1024
"""Bytes of a value that is made here: a stock broker takes 1,048,588 with key, headers and framing."""

SINGLE_OBJECT = b"\xc3\x01"
CONFLUENT = b"\x00"


class CodecError(TidelineError):
    """Bytes that are not the record asked for, or a record that has no bytes. The message is the reason."""


class NotYet(Unavailable):
    """The registry answers, and may not have heard of this schema yet."""


class SchemaError(CodecError):
    """The registry holds this schema for good, and it is none that can be read with."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Two look-ups in a schema registry. Each raises CodecError for what the registry does not hold,
    NotYet while it may not have heard of it, Unavailable while it does not answer.

    `schema`: of an id, the schema as parsed JSON. `id_of`: of a record class, the id of its current schema.
    """

    schema: Callable[[int], Schema]
    id_of: Callable[[type[Any]], int]


class Codec:
    """Encodes and decodes; `encode` and `decode` of this module are those of one shared instance."""

    def __init__(self, registry: Registry | None = None) -> None:
        self.use(registry)

    def use(self, registry: Registry | None) -> None:
        """From now on write ids of this registry, or fingerprints when it is None."""
        self._registry = registry
        self._prefixes: dict[type[Any], bytes] = {}
        self._writers: dict[tuple[int, type[Any]], Schema | SchemaError] = {}

    def encode(self, record: Any) -> bytes:
        """The bytes of a record. CodecError when a value does not fit its schema."""
        kind = type(record)
        prefix = self._prefixes.get(kind) or self._prefix(kind)
        shape = _shape(kind)
        out = io.BytesIO()
        out.write(prefix)
        try:
            fastavro.schemaless_writer(out, shape.schema, shape.lower(record), disable_tuple_notation=True)
        except Exception as error:
            raise CodecError(f"{kind.__name__} has no bytes: {_reason(error)}") from error
        if out.tell() > MAX_VALUE_BYTES:
            raise CodecError(f"{kind.__name__} of {out.tell()} bytes, at most {MAX_VALUE_BYTES} are allowed")
        return out.getvalue()

    def decode(self, data: bytes, expected: type[R]) -> R:
        """The record these bytes hold. CodecError when it is not one of `expected`."""
        if len(data) > MAX_MESSAGE_BYTES:
            raise CodecError(f"{len(data)} bytes, at most {MAX_MESSAGE_BYTES} are allowed")
        if data[:2] == SINGLE_OBJECT:
            writer, start = self._released(data[2:10], expected), 10
        elif data[:1] == CONFLUENT:
            writer, start = self._registered(data[1:5], expected), 5
        else:
            raise CodecError(f"not Avro: first bytes {data[:4].hex(' ') or 'missing'}")
        shape = _shape(expected)
        body = io.BytesIO(data)
        body.seek(start)
        try:
            values = fastavro.schemaless_reader(
                body, writer, None if writer is shape.schema else shape.schema
            )
            record: R = shape.lift(values)
        except EOFError as error:
            raise CodecError(f"truncated {expected.__name__}: {len(data)} bytes") from error
        except Exception as error:
            raise CodecError(f"not a {expected.__name__}: {_reason(error)}") from error
        if body.tell() != len(data):
            raise CodecError(f"{len(data) - body.tell()} trailing bytes after a {expected.__name__}")
        return record

    def must_ask(self, data: bytes, expected: type[Any]) -> bool:
        """Whether `decode` would ask the registry, and so may take seconds."""
        return (
            self._registry is not None
            and data[:1] == CONFLUENT
            and 5 <= len(data) <= MAX_MESSAGE_BYTES
            and (int.from_bytes(data[1:5]), expected) not in self._writers
        )

    def _prefix(self, kind: type[Any]) -> bytes:
        if not is_dataclass(kind):
            raise CodecError(f"{kind.__name__} is not a record")
        if self._registry is None:
            prefix = SINGLE_OBJECT + lineage(kind).fingerprint
        else:
            prefix = CONFLUENT + struct.pack(">I", self._registry.id_of(kind))
        self._prefixes[kind] = prefix
        return prefix

    def _released(self, fingerprint: bytes, expected: type[Any]) -> Schema:
        if len(fingerprint) < 8:
            raise CodecError(f"truncated {expected.__name__}: the schema fingerprint is cut off")
        try:
            return lineage(expected).releases[fingerprint]
        except KeyError:
            raise CodecError(
                f"unknown schema fingerprint {fingerprint.hex()} for {expected.__name__}",
                "replay it once this version of Tideline knows the schema",
            ) from None

    def _registered(self, framed: bytes, expected: type[Any]) -> Schema:
        if len(framed) < 4:
            raise CodecError("truncated before the schema id")
        (schema_id,) = struct.unpack(">I", framed)
        writer = self._writers.get((schema_id, expected))
        if writer is None:
            writer = self._writers[schema_id, expected] = self._ask(schema_id, expected)
        if isinstance(writer, SchemaError):
            raise SchemaError(writer.message)  # a new one: one that is raised again grows by its traces
        return writer

    def _ask(self, schema_id: int, expected: type[Any]) -> Schema | SchemaError:
        if self._registry is None:
            raise CodecError(
                "Confluent wire format, and no schema registry is configured",
                "set TIDELINE_SCHEMA_REGISTRY_URL",
            )
        try:
            schema = self._registry.schema(schema_id)
            # A schema we released ourselves needs no resolution at each message.
            return lineage(expected).releases.get(fingerprint_of(schema)) or fastavro.parse_schema(schema)
        except SchemaError as error:
            return error
        except (SchemaParseException, LookupError, TypeError, ValueError) as error:
            return SchemaError(f"schema id {schema_id} cannot be used: {_reason(error)}")


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a record class meets its schema: `lower` to what fastavro writes, `lift` from what it has read."""

    schema: Schema
    lower: Callable[[Any], dict[str, Any]]
    lift: Callable[[dict[str, Any]], Any]


_shapes: dict[type[Any], _Shape] = {}


def _shape(kind: type[Any]) -> _Shape:
    shape = _shapes.get(kind)
    if shape is None:
        schema = lineage(kind).current
        shape = _shapes[kind] = _Shape(schema, _lowering(kind, schema), _lifting(kind, schema))
    return shape


def _lowering(kind: type[Any], schema: Schema) -> Callable[[Any], dict[str, Any]]:
    names = tuple(field.name for field in fields(kind))
    values, changes = attrgetter(*names), _conversions(kind, schema, up=False)

    def lower(record: Any) -> dict[str, Any]:
        row = dict(zip(names, values(record), strict=True))
        for name, change in changes:
            row[name] = change(row[name])
        return row

    return lower


def _lifting(kind: type[Any], schema: Schema) -> Callable[[dict[str, Any]], Any]:
    values = itemgetter(*(field.name for field in fields(kind)))
    changes = _conversions(kind, schema, up=True)

    def lift(row: dict[str, Any]) -> Any:
        for name, change in changes:
            row[name] = change(row[name])
        return kind(*values(row))

    return lift


def _conversions(kind: type[Any], schema: Schema, *, up: bool) -> list[tuple[str, Callable[[Any], Any]]]:
    hints = get_type_hints(kind)
    found = (
        (field["name"], _conversion(hints[field["name"]], field["type"], up)) for field in schema["fields"]
    )
    return [(name, change) for name, change in found if change is not None]


def _conversion(hint: Any, schema: Any, up: bool) -> Callable[[Any], Any] | None:
    """What a value of this type needs on its way up to the record, or down from it; None where nothing."""
    if get_origin(hint) is UnionType:
        hint = next(member for member in get_args(hint) if member is not NoneType)
        change = _conversion(hint, next(branch for branch in schema if branch != "null"), up)
        return change and (lambda value: None if value is None else change(value))
    if get_origin(hint) is tuple:
        each = _conversion(get_args(hint)[0], schema["items"], up)
        return (lambda values: tuple(map(each, values))) if each else tuple if up else None
    if isinstance(hint, type) and is_dataclass(hint):
        return (_lifting if up else _lowering)(hint, schema)
    if up and isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    return _int32 if schema == "int" else None


def _int32(value: int) -> int:
    """Avro's `int` has 32 bits; fastavro writes and reads 64 without a word."""
    if not -(2**31) <= value < 2**31:
        raise ValueError(f"{value} is not a 32-bit number")
    return value


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


_shared = Codec()
use, encode, decode, must_ask = _shared.use, _shared.encode, _shared.decode, _shared.must_ask
