"""Rows as bytes: what the hot writes put on the wire, without an object a row.

The driver binds each row of a batch into an object and serializes it again on sending, which costs more than
the server's share of the work. Here a row is encoded once, straight into the body of a BATCH message; the
parameters that rows share are encoded once for all of them.
"""

import io
import re
import struct
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from cassandra.protocol import BatchMessage, ProtocolHandler
from cassandra.query import UNSET_VALUE, BatchStatement, BatchType, PreparedStatement

UNSET = UNSET_VALUE
"""A parameter that leaves its column as it is, without the tombstone a null would write."""

_NULL = struct.pack(">i", -1)
_UNSET = struct.pack(">i", -2)
_PREPARED = b"\x01"
_TABLE = re.compile(r"(?:FROM|INTO|UPDATE)\s+(\w+)")

_FIXED: dict[str, tuple[struct.Struct, int]] = {
    "bigint": (struct.Struct(">iq"), 8),
    "int": (struct.Struct(">ii"), 4),
    "boolean": (struct.Struct(">ib"), 1),
}
_CODES = {"bigint": "iq", "int": "ii", "boolean": "ib"}


_TO_WRITE_TIME = 12
"""Bits of a post id that a write time leaves out: what is left counts about as fast as microseconds do, which
keeps Cassandra's clock checks quiet, and tells all posts of an author apart but those of one microsecond."""


def write_time_of(bound: int) -> int:
    """A post id or a bound as a write time: the higher one wins, whatever any clock says."""
    return bound >> _TO_WRITE_TIME


class Mutation(NamedTuple):
    """Rows of one replica set, ready for a batch: the routing key of one of them, how many, their bytes."""

    key: bytes
    rows: int
    data: bytes


class Statement:
    """A prepared statement of one table: bound by the driver for a read, encoded by itself for a batch."""

    def __init__(self, prepared: PreparedStatement, protocol_version: int) -> None:
        prepared.is_idempotent = True
        self.prepared = prepared
        found = _TABLE.search(prepared.query_string)
        self.table = found.group(1) if found else prepared.query_string
        columns = prepared.column_metadata
        query_id: bytes = prepared.query_id
        self.head = b"".join(
            (_PREPARED, struct.pack(">H", len(query_id)), query_id, struct.pack(">H", len(columns)))
        )
        self._encoders = [_encoder(column.type, protocol_version) for column in columns]
        self._key_indexes: Sequence[int] = prepared.routing_key_indexes or ()
        self._fixed = _FixedRow.of([column.type.typename for column in columns], self._key_indexes)

    def parameters(self, *values: object) -> list[bytes]:
        """Each parameter as it goes on the wire: its length and its bytes."""
        return [encode(value) for encode, value in zip(self._encoders, values, strict=True)]

    def mutation(self, *values: object) -> Mutation:
        """One row with these values, in the order of the statement's markers."""
        if self._fixed is not None:
            try:
                key, data = self._fixed.encode(values)
            except struct.error:
                pass  # a parameter is absent
            else:
                return Mutation(key, 1, self.head + data)
        encoded = self.parameters(*values)
        return Mutation(self._key(encoded), 1, self.head + b"".join(encoded))

    def _key(self, encoded: Sequence[bytes]) -> bytes:
        """The routing key as the partitioner hashes it: a single part bare, several each with its length."""
        if len(self._key_indexes) == 1:
            return encoded[self._key_indexes[0]][4:]
        return b"".join(encoded[i][2:] + b"\x00" for i in self._key_indexes)


class _FixedRow:
    """All parameters of a row whose sizes are known, in one go."""

    def __init__(self, types: Sequence[str], keys: Sequence[int]) -> None:
        self._pack = struct.Struct(">" + "".join(_CODES[one] for one in types)).pack
        self._sizes = [part for one in types for part in (_FIXED[one][1], 0)]
        ends = list(accumulate(_FIXED[one][0].size for one in types))
        starts = [end - _FIXED[one][1] for end, one in zip(ends, types, strict=True)]
        self._keys = [slice(starts[i], ends[i]) for i in keys]
        self._lengths = [struct.pack(">H", _FIXED[types[i]][1]) for i in keys]

    @classmethod
    def of(cls, types: Sequence[str], keys: Sequence[int]) -> "_FixedRow | None":
        return cls(types, keys) if all(one in _FIXED for one in types) else None

    def encode(self, values: Sequence[Any]) -> tuple[bytes, bytes]:
        """The routing key and the parameters; raises struct.error for a value that is none."""
        parts = self._sizes.copy()
        parts[1::2] = values
        data = self._pack(*parts)
        if len(self._keys) == 1:
            return data[self._keys[0]], data
        key = b"".join(
            [length + data[at] + b"\x00" for length, at in zip(self._lengths, self._keys, strict=True)]
        )
        return key, data


def _encoder(cql_type: Any, protocol_version: int) -> Callable[[Any], bytes]:
    if cql_type.typename in _FIXED:
        fixed, size = _FIXED[cql_type.typename]
        pack = fixed.pack
        return lambda value: _absent(value) or pack(size, value)

    def encode(value: object) -> bytes:
        if absent := _absent(value):
            return absent
        data: bytes = cql_type.serialize(value, protocol_version)
        return struct.pack(">i", len(data)) + data

    return encode


def _absent(value: object) -> bytes:
    if value is None:
        return _NULL
    return _UNSET if value is UNSET else b""


class StatementBatch(BatchStatement):  # type: ignore[misc]  # the driver has no types
    """Mutations in one message, routed by the key of the first. UNLOGGED unless it has a condition."""

    def __init__(self, mutations: Sequence[Mutation], *, conditional: bool = False) -> None:
        super().__init__(BatchType.LOGGED if conditional else BatchType.UNLOGGED)
        self._statements_and_parameters = _Rows(mutations)
        self.routing_key = mutations[0].key
        self.is_idempotent = not conditional


class _Rows:
    """In the place of the driver's list of statements: as long as it, and already encoded."""

    def __init__(self, mutations: Sequence[Mutation]) -> None:
        self._count = sum([mutation.rows for mutation in mutations])
        self.data = b"".join([mutation.data for mutation in mutations])

    def __len__(self) -> int:
        return self._count


class _EncodedBatch(BatchMessage):  # type: ignore[misc]
    def send_body(self, f: io.BytesIO, protocol_version: int) -> None:
        rows: _Rows = self.queries
        empty = BatchMessage(
            self.batch_type,
            (),
            self.consistency_level,
            self.serial_consistency_level,
            self.timestamp,
            self.keyspace,
        )
        buffer = io.BytesIO()
        empty.send_body(buffer, protocol_version)
        frame = buffer.getvalue()  # type (1 byte), number of rows (2 bytes), consistency, flags, ...
        f.write(frame[:1] + struct.pack(">H", len(rows)))
        f.write(rows.data)
        f.write(frame[3:])


class EncodedBatches(ProtocolHandler):  # type: ignore[misc]
    """The driver's handler, which also sends a `StatementBatch` as it is. A retry may send one again."""

    @classmethod
    def encode_message(cls, msg: Any, *args: Any, **kwargs: Any) -> bytes:
        if isinstance(msg, BatchMessage) and isinstance(msg.queries, _Rows):
            msg.__class__ = _EncodedBatch
        encoded: bytes = super().encode_message(msg, *args, **kwargs)
        return encoded
