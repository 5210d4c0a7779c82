"""Record batches as aiokafka fetches them, read so that no batch can stop a consumer or fill its memory.

A batch comes from one producer, and the broker limits only its compressed size: 1 MiB of zstd can be 30 GiB.
aiokafka (0.14, `record/_crecords/default_records.pyx`) inflates it whole, decodes header names strictly as
UTF-8, and after an exception fetches the same batch again, for ever. Here a batch is inflated up to a limit,
names are decoded with replacements, and what cannot be read is one `Unreadable` in the place of its records.

`PartitionRecords` of `aiokafka.consumer.fetcher` reads a fetched partition through this; see `install`.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import cramjam
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record._crecords import DefaultRecord, DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

MAX_BATCH_BYTES = 16 * 1024 * 1024
"""Bytes of a batch, inflated: a topic takes 1 MiB, and ordinary records shrink to a tenth at best."""

POLLED = 4 * 1024 * 1024
"""Bytes of values that a poll takes from a partition before it leaves the rest for the next one."""

_FIRST_GUESS = 32
"""Ordinary records shrink by less than this; a buffer for the largest batch costs 60 µs."""

_LENGTH, _MAGIC, _ATTRIBUTES, _COUNT, _RECORDS = 8, 16, 21, 57, 61
"""Where a batch of version 2 has its length (of what follows), version, attributes, count and records."""

_CODECS, _CONTROL = 0x07, 0x20


class Unreadable(bytes):
    """The value in the place of records that cannot be read; `why` says which and why."""

    why: str

    def __new__(cls, why: str) -> "Unreadable":
        """An empty value."""
        made = super().__new__(cls)
        made.why = why
        return made


class InflatedTooLarge(Exception):  # noqa: N818 - what it is, not that it is an error
    """More bytes than a batch may have."""


def install() -> None:
    """Have every aiokafka consumer of this process read its batches through this module."""
    fetcher.MemoryRecords, fetcher.FetchResult = Records, Result


class Result(fetcher.FetchResult):  # type: ignore[misc]  # aiokafka has no types for others
    """What was fetched of a partition, given out by bytes as well as by records."""

    def getall(self, max_records: int | None = None) -> list[Any]:
        """The next records: so many, or so many bytes."""
        if not self.has_more() or not self.check_assignment(self._topic_partition):
            return []
        found: list[Any] = []
        size = 0
        for record in self._partition_records:  # type: ignore[has-type]
            found.append(record)
            size += len(record.value or b"")
            if size >= POLLED or len(found) == max_records:
                self._update_position()
                return found
        self._update_position()
        self._partition_records = None
        return found


class Records:
    """In the place of aiokafka's `MemoryRecords`: the batches of one fetched partition, one at a time."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched, self._at = memoryview(fetched), 0

    def size_in_bytes(self) -> int:
        """Bytes fetched."""
        return len(self._fetched)

    def has_next(self) -> bool:
        """Whether a whole batch is left: the broker cuts off the last one where the fetch is full."""
        return self._end() is not None

    def next_batch(self) -> Any:
        """The next batch; None when there is none."""
        end = self._end()
        if end is None:
            return None
        raw = bytes(self._fetched[self._at : end])
        self._at = end
        return Batch(raw) if raw[_MAGIC] >= 2 else MemoryRecords(raw).next_batch()

    def _end(self) -> int | None:
        if len(self._fetched) - self._at < _MAGIC + 1:
            return None
        (length,) = struct.unpack_from(">i", self._fetched, self._at + _LENGTH)
        end = self._at + _LENGTH + 4 + length
        return int(end) if end <= len(self._fetched) else None


class Batch:
    """A batch as aiokafka's fetcher uses it: what its header says, and its records."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._read = DefaultRecordBatch(raw)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._read, name)

    def __next__(self) -> Any:
        """The first record of a control batch: aiokafka asks for it this way."""
        return next(self._read)

    def __iter__(self) -> Iterator[Any]:
        """Every record; in the place of those that cannot be read one `Unreadable`, at the last offset."""
        after = self.base_offset - 1
        try:
            plain = self._inflated()
            try:
                for record in DefaultRecordBatch(plain):
                    yield record
                    after = record.offset
            except UnicodeDecodeError:
                for record in self._leniently(plain):
                    if record.offset > after:
                        yield record
                        after = record.offset
        except GeneratorExit:
            raise
        except Exception as error:
            yield self._unreadable(after, error)

    def _inflated(self) -> bytes:
        """The same batch without compression."""
        (attributes,) = struct.unpack_from(">h", self._raw, _ATTRIBUTES)
        codec = attributes & _CODECS
        if not codec:
            return self._raw
        head = bytearray(self._raw[:_RECORDS])
        struct.pack_into(">h", head, _ATTRIBUTES, attributes & ~_CODECS)
        return bytes(head) + inflate(codec, self._raw[_RECORDS:], MAX_BATCH_BYTES)

    def _leniently(self, plain: bytes) -> Iterator[Any]:
        """What `DefaultRecordBatch` does, with header names that may be any bytes."""
        buffer, at = bytearray(plain), _RECORDS

        def number() -> int:
            nonlocal at
            value: int
            value, at = decode_varint(buffer, at)
            return value

        def string() -> bytes | None:
            nonlocal at
            length = number()
            if length < 0:
                return None
            if at + length > len(buffer):
                raise CorruptRecordException(f"{length} bytes from {at}, and the batch ends before")
            at += length
            return bytes(buffer[at - length : at])

        (count,) = struct.unpack_from(">i", plain, _COUNT)
        for _ in range(count):
            number()  # its length
            number()  # its attributes
            age, delta = number(), number()
            key, value = string(), string()
            headers = [
                ((string() or b"").decode(errors="backslashreplace"), string()) for _ in range(number())
            ]
            came = self.max_timestamp if self.timestamp_type else self.first_timestamp + age
            yield DefaultRecord(self.base_offset + delta, came, self.timestamp_type, key, value, headers)

    def _unreadable(self, after: int, error: Exception) -> Any:
        first, last = after + 1, self.next_offset - 1
        which = f"offset {last}" if first == last else f"offsets {first} to {last}"
        why = str(error) if isinstance(error, InflatedTooLarge) else f"{type(error).__name__}: {error}"
        return DefaultRecord(
            last, self.max_timestamp, self.timestamp_type, None, Unreadable(f"{which}: {why[:200]}"), []
        )


def inflate(codec: int, data: bytes, most: int) -> bytes:
    """The bytes behind a compression of Kafka's; never holds many more than `most`.

    Raises TooLarge when there are more, anything else for bytes that are no such compression.
    """
    return _CODEC[codec](data, most)


def _gzip(data: bytes, most: int) -> bytes:
    found = bytearray()
    while data:
        member = zlib.decompressobj(31)
        found += member.decompress(data, most + 1 - len(found))
        _hold(len(found), most)
        if not member.eof:
            raise ValueError("gzip: cut off")
        data = member.unused_data
    return bytes(found)


def _snappy(data: bytes, most: int) -> bytes:
    """Snappy says how long it is; xerial's framing has blocks, each behind its length."""
    if not data.startswith(b"\x82SNAPPY\0"):
        _hold(cramjam.snappy.decompress_raw_len(data), most)
        return bytes(cramjam.snappy.decompress_raw(data))
    found, at = bytearray(), 16
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        block, at = data[at + 4 : at + 4 + length], at + 4 + length
        _hold(len(found) + cramjam.snappy.decompress_raw_len(block), most)
        found += cramjam.snappy.decompress_raw(block)
    return bytes(found)


def _into(decompress_into: Callable[[bytes, bytearray], int]) -> Callable[[bytes, int], bytes]:
    """A decoder that writes into a buffer, and fails when that is too small."""

    def inflate(data: bytes, most: int) -> bytes:
        for size in (min(most, len(data) * _FIRST_GUESS + 1024), most):
            buffer = bytearray(size)  # of zeros that take no memory until they are written
            try:
                return bytes(memoryview(buffer)[: decompress_into(data, buffer)])
            except cramjam.DecompressionError as error:
                if "whole buffer" not in str(error):
                    raise
        raise InflatedTooLarge(_too_large(most))

    return inflate


def _hold(size: int, most: int) -> None:
    if size > most:
        raise InflatedTooLarge(_too_large(most))


def _too_large(most: int) -> str:
    return f"more than {most} bytes when inflated"


_CODEC: dict[int, Callable[[bytes, int], bytes]] = {
    1: _gzip,
    2: _snappy,
    3: _into(cramjam.lz4.decompress_into),
    4: _into(cramjam.zstd.decompress_into),
}
