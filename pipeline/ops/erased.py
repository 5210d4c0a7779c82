"""What is left of an erased account: each row and each message that names it or has its text, and until when.

Nothing is asked by key: each table of the keyspace and each topic of the domain is read from end to end, so
what the stages do not know of is found as well. What goes by itself, in its stated time, is no finding.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.domain.erasure import mark
from pipeline.errors import TidelineError
from pipeline.kafka.messages import Incoming
from pipeline.kafka.spans import Spans, spans
from pipeline.ops.dead_letter import DeadLetter, record_of
from pipeline.path import RECORDS
from pipeline.store.cassandra import Database, connect
from pipeline.topology import TopicSpec, Topology
from pipeline.wire.codec import decode
from pipeline.wire.records import ErasureTask

ACCOUNTS = ("user_id", "author_id", "reader_id", "account_id", "other_id", "follower_id")
LISTS = ("follower_ids", "reader_ids", "ids")
"""Columns and fields that hold accounts."""

BROKERS_RETENTION_MS = 604_800_000
"""Of a topic whose settings do not say."""

TOLD_APART = 6
"""Digits from which on a number in text or raw bytes is taken for an id, and not for any other number."""


@dataclass(frozen=True, slots=True)
class Sought:
    """An account, and texts of which nothing may be left."""

    account_id: int
    texts: Sequence[str] = ()

    def in_row(self, values: Mapping[str, Any]) -> bool:
        """Whether a row or a record names the account or has one of the texts."""
        return any(self._in_field(name, value) for name, value in values.items())

    def in_bytes(self, data: bytes) -> bool:
        """The same of bytes nobody can read."""
        digits = b"%d" % self.account_id
        known = len(digits) >= TOLD_APART and re.search(rb"(?<!\d)%b(?!\d)" % digits, data) is not None
        return known or any(text.encode() in data for text in self.texts)

    def in_key(self, key: bytes) -> bool:
        """Whether a key is the account, or something that is done to it."""
        return key.rpartition(b"/")[2] == b"%d" % self.account_id

    def _in_field(self, name: str, value: Any) -> bool:
        if name in ACCOUNTS and value == self.account_id:
            return True
        if name in LISTS and self.account_id in value:
            return True
        if isinstance(value, str):
            return (name == "target" and value == str(self.account_id)) or self.in_bytes(value.encode())
        if isinstance(value, bytes):
            return self.in_bytes(value)
        if isinstance(value, Mapping):
            return any(self._in_field("", one) for pair in value.items() for one in pair)
        if isinstance(value, (list, tuple, set, frozenset)):
            return any(self._in_field("", one) for one in value)
        return False


@dataclass(frozen=True, slots=True)
class Remnant:
    """Rows of a table, or messages of a topic. `goes_ms`: when the last of them is gone by itself; None: that
    is not known. `stays`: they do not go by themselves.
    """

    place: str
    number: int
    stays: bool
    goes: str
    goes_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """What a scan has found. `known`: whether the account is erased; `step`: where it is on its way out."""

    known: bool
    step: str
    traces: Sequence[Remnant]

    @property
    def clean(self) -> bool:
        """Whether what is left goes by itself."""
        return not any(trace.stays for trace in self.traces)

    def document(self) -> dict[str, Any]:
        """What `tideline erased --json` prints."""
        return {
            "erased": self.known,
            "step": self.step or None,
            "clean": self.clean,
            "left": [asdict(trace) for trace in self.traces],
        }


async def left_of(
    sought: Sought,
    kafka: str,
    cassandra: str,
    keyspace: str,
    topology: Topology,
    told: Callable[[str], None] = lambda place: None,
) -> Left:
    """Scan everything. `told` of each place before it is read. EngineError when an engine does not answer."""
    db = await connect(cassandra, keyspace)
    try:
        rows = [trace async for trace in _tables(sought, db, keyspace, told)]
    finally:
        await db.close()
    known, step, messages = await asyncio.to_thread(_topics, sought, kafka, topology, told)
    return Left(known, step, [*rows, *messages])


async def _tables(sought: Sought, db: Database, keyspace: str, told: Callable[[str], None]) -> Any:
    found = await db.query(
        "SELECT table_name, column_name FROM system_schema.columns WHERE keyspace_name = %s", keyspace
    )
    columns: dict[str, list[str]] = {}
    for table, column in found:
        columns.setdefault(table, []).append(column)
    for table, names in sorted(columns.items()):
        told(table)
        listed = ", ".join(names)
        every = await asyncio.to_thread(db.prepare, f"SELECT {listed} FROM {table}")  # noqa: S608 - its own
        number = 0
        async for row in db.stream(every):
            number += sought.in_row(dict(zip(names, row, strict=True)))
        if number:
            expires = "with its time to live, if it has one"
            yield Remnant(table, number, table not in EXPIRING, expires if table in EXPIRING else "")


EXPIRING = ("timeline_by_reader", "posts_ahead", "post_reservations")
"""Tables whose rows all live for the window and a day at most, and may name an account to their end."""


def _topics(
    sought: Sought, kafka: str, topology: Topology, told: Callable[[str], None]
) -> tuple[bool, str, list[Remnant]]:
    traces: list[Remnant] = []
    known, step = False, ""
    with spans(kafka) as reader:
        for name, spec in topology.topics.items():
            told(spec.name)
            found = _Found(spec)
            for message in _messages(reader, spec):
                hit = _names(sought, name, message, topology)
                found.add(message, hit)
                if name == "accounts.erased" and message.key == mark(sought.account_id).encode():
                    known = message.value is not None
                if name == "account.erasures" and hit:
                    step = decode(message.value or b"", ErasureTask).step
            traces += found.traces()
    return known, step, traces


def _messages(reader: Spans, spec: TopicSpec) -> Iterator[Incoming]:
    return reader.messages(reader.whole(spec.name))


def _names(sought: Sought, topic: str, message: Incoming, topology: Topology) -> bool:
    """Whether a message is about the account: by its key, by its record, or by bytes that hold none."""
    value = message.value or b""
    if value and sought.in_key(message.key or b""):
        return True
    if RECORDS[topic] is bytes:
        record, _ = record_of(DeadLetter(message), topology.names)
        return sought.in_bytes(value) if record is None else sought.in_row(record)
    if not value:
        return False
    try:
        return sought.in_row(asdict(decode(value, RECORDS[topic])))
    except TidelineError:
        return sought.in_bytes(value)


class _Found:
    """What is found in one topic: by key, as compaction leaves the newest of each."""

    def __init__(self, spec: TopicSpec) -> None:
        self._spec, self._number, self._newest_ms = spec, 0, 0
        self._stays: dict[bytes, bool] = {}

    def add(self, message: Incoming, hit: bool) -> None:
        """Take note of a message."""
        self._stays[message.key or b""] = hit
        if hit:
            self._number += 1
            self._newest_ms = max(self._newest_ms, message.timestamp_ms)

    def traces(self) -> Iterable[Remnant]:
        """What there is to tell."""
        if not self._number:
            return
        name, configs = self._spec.name, self._spec.configs
        if "compact" in configs.get("cleanup.policy", ""):
            stays = any(self._stays.values())
            yield Remnant(name, self._number, stays, "" if stays else "with the next compaction")
            return
        kept = int(configs.get("retention.ms", BROKERS_RETENTION_MS))
        goes = None if kept < 0 else self._newest_ms + kept
        yield Remnant(name, self._number, goes is None, "" if goes is None else "with its retention", goes)
