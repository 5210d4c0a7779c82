"""Records to bytes and back; what is no record is a CodecError and nothing else."""

import dataclasses
import io
import json
import timeit
import tracemalloc
from enum import Enum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import shipped
from pipeline.path import RECORDS
from pipeline.wire import records
from pipeline.wire.codec import MAX_MESSAGE_BYTES, MAX_VALUE_BYTES, CodecError, decode, encode
from pipeline.wire.records import (
    AuthorClass,
    FanoutTask,
    FollowEvent,
    PostEvent,
    RouteEntry,
    RouteRecord,
    TimelineReply,
    TimelineRequest,
)
from pipeline.wire.schemas import file_name, lineage

KINDS = sorted({kind for kind in RECORDS.values() if kind is not bytes}, key=lambda kind: kind.__name__)
TASK = FanoutTask(794563922886656001, 4711, AuthorClass.PARTIAL, 0, 255, -42)
ROUTE = RouteRecord(7, (RouteEntry(0, AuthorClass.PULL, "x"), RouteEntry(9, AuthorClass.PUSH, "y")), 9)

every_record = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


# --- There and back -------------------------------------------------------------------------------------


def values(hint: Any, schema: Any) -> st.SearchStrategy[Any]:
    """Every value a field can hold."""
    if get_origin(hint) is UnionType:
        inner = next(member for member in get_args(hint) if member is not NoneType)
        return st.none() | values(inner, next(branch for branch in schema if branch != "null"))
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0], schema["items"]), max_size=4).map(tuple)
    if dataclasses.is_dataclass(hint):
        return every(hint, schema)
    if get_origin(hint) is not None:
        return st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3)
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    bits = 31 if schema == "int" else 63
    plain = {
        int: st.integers(-(2**bits), 2**bits - 1),
        float: st.floats(allow_nan=False),  # which is not equal to itself
        str: st.text(),
        bool: st.booleans(),
        bytes: st.binary(),
    }
    return plain[hint]


def every(kind: type[Any], schema: Any) -> st.SearchStrategy[Any]:
    """Every record of a class."""
    hints = get_type_hints(kind)
    return st.builds(
        kind, **{field["name"]: values(hints[field["name"]], field["type"]) for field in schema["fields"]}
    )


any_record = st.sampled_from(KINDS).flatmap(lambda kind: every(kind, lineage(kind).current))


@given(any_record)
def test_what_was_encoded_decodes_to_the_same(record: Any) -> None:
    again = decode(encode(record), type(record))

    assert again == record
    assert hash_of(again) == hash_of(record)


def hash_of(record: Any) -> Any:
    """Types too: a list is not a tuple, a string is not an AuthorClass, a bool is not an int."""
    if dataclasses.is_dataclass(record):
        return type(record), [hash_of(getattr(record, field.name)) for field in dataclasses.fields(record)]
    if isinstance(record, tuple):
        return tuple, [hash_of(item) for item in record]
    return type(record), record


@given(any_record)
def test_bytes_are_what_avro_itself_writes(record: Any) -> None:
    """C3 01, the fingerprint, and the record as another Avro library would read it."""
    data, lines = encode(record), lineage(type(record))
    plain = fastavro.schemaless_reader(io.BytesIO(data[10:]), lines.current, None)

    assert data[:10] == b"\xc3\x01" + lines.fingerprint
    assert plain == json_like(record)


def json_like(record: Any) -> Any:
    if dataclasses.is_dataclass(record):
        return {field.name: json_like(getattr(record, field.name)) for field in dataclasses.fields(record)}
    return [json_like(item) for item in record] if isinstance(record, tuple) else record


@every_record
def test_examples_round_trip(kind: type[Any]) -> None:
    """The example as JSON, as bytes, as a record, and as the same bytes again."""
    schema = lineage(kind).current
    example = json.loads((shipped.folder("schemas") / "examples" / f"{file_name(kind)}.json").read_text())
    assert list(example) == [field["name"] for field in schema["fields"]]
    if kind is TimelineReply:
        example["body"] = example["body"].encode()
    out = io.BytesIO(b"\xc3\x01" + lineage(kind).fingerprint)
    out.seek(10)
    fastavro.schemaless_writer(out, schema, example)

    record = decode(out.getvalue(), kind)

    assert json_like(record) == example
    assert encode(record) == out.getvalue()


# --- Garbage --------------------------------------------------------------------------------------------


def refused(data: bytes, kind: type[Any]) -> str:
    with pytest.raises(CodecError) as caught:
        decode(data, kind)
    return caught.value.message


def decoded_or_refused(data: bytes, kind: type[Any]) -> None:
    try:
        assert isinstance(decode(data, kind), kind)
    except CodecError as error:
        assert error.message


@given(st.binary(max_size=200), st.sampled_from(KINDS))
def test_any_bytes_are_a_record_or_a_codec_error(data: bytes, kind: type[Any]) -> None:
    decoded_or_refused(data, kind)
    decoded_or_refused(b"\xc3\x01" + lineage(kind).fingerprint + data, kind)
    decoded_or_refused(b"\x00" + data, kind)


@given(any_record, st.data())
def test_damaged_bytes_are_a_record_or_a_codec_error(record: Any, data: st.DataObject) -> None:
    whole = encode(record)
    at = data.draw(st.integers(0, len(whole)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.binary(max_size=12))

    decoded_or_refused(whole[:at] + put + whole[at + cut :], type(record))


@given(any_record, st.data())
def test_a_record_that_is_cut_short_is_refused(record: Any, data: st.DataObject) -> None:
    whole = encode(record)

    refused(whole[: data.draw(st.integers(0, len(whole) - 1))], type(record))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not Avro: first bytes missing"),
        (b'{"type"', "not Avro: first bytes 7b 22 74 79"),
        (b"\xc3\x01abc", "truncated FanoutTask: the schema fingerprint is cut off"),
        (b"\xc3\x01abcdefgh", "unknown schema fingerprint 6162636465666768 for FanoutTask"),
        (
            encode(ROUTE),
            f"unknown schema fingerprint {lineage(RouteRecord).fingerprint.hex()} for FanoutTask",
        ),
        (encode(TASK)[:-1], "truncated FanoutTask: 26 bytes"),
        (encode(TASK) + b"ab", "2 trailing bytes after a FanoutTask"),
        (b"\x00\x00\x00\x00\x01x", "Confluent wire format, and no schema registry is configured"),
    ],
    ids=["nothing", "JSON", "cut", "unknown", "another record", "short", "long", "Confluent"],
)
def test_the_reason_is_short_and_says_what_is_wrong(data: bytes, reason: str) -> None:
    assert refused(data, FanoutTask) == reason


def body(record: Any) -> tuple[bytes, bytes]:
    data = encode(record)
    return data[:10], data[10:]


def test_a_string_that_is_not_utf8_is_refused() -> None:
    head, tail = body(TimelineRequest("ab", 1, 1, None, "latest", False, ""))

    assert "UnicodeDecodeError" in refused(head + tail.replace(b"ab", b"\xff\xfe"), TimelineRequest)


def test_a_class_that_does_not_exist_is_refused() -> None:
    head, tail = body(FanoutTask(0, 0, AuthorClass.PUSH, 0, 0, 0))
    assert tail == bytes(7)

    assert decode(head + b"\x00\x00\x04\x00\x00\x00\x00", FanoutTask).author_class is AuthorClass.PULL
    refused(head + b"\x00\x00\x06\x00\x00\x00\x00", FanoutTask)


@pytest.mark.parametrize("segment", [-(2**31) - 1, 2**31])
def test_an_int_beyond_32_bits_is_refused_both_ways(segment: int) -> None:
    """Avro's int; Cassandra's too, so that the driver would refuse it much later."""
    task = dataclasses.replace(TASK, last_segment=segment)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, lineage(FanoutTask).current, json_like(task))

    with pytest.raises(CodecError, match=f"{segment} is not a 32-bit number"):
        encode(task)
    assert f"{segment} is not a 32-bit number" in refused(body(TASK)[0] + out.getvalue(), FanoutTask)


@pytest.mark.parametrize("segment", [-(2**31), 2**31 - 1])
def test_an_int_of_32_bits_is_accepted(segment: int) -> None:
    task = dataclasses.replace(TASK, last_segment=segment)

    assert decode(encode(task), FanoutTask) == task


@pytest.mark.parametrize(
    "record",
    [
        dataclasses.replace(TASK, post_id=2**63),
        dataclasses.replace(TASK, post_id=None),
        dataclasses.replace(TASK, author_class="sometimes"),
        PostEvent("published", 1, 2, 3, body="\ud800"),
        PostEvent("published", 1, 2, 3, body=b"bytes"),
        "not a record",
    ],
    ids=["too large", "missing", "unknown class", "lone surrogate", "wrong type", "no record"],
)
def test_a_record_that_does_not_fit_its_schema_is_refused(record: Any) -> None:
    with pytest.raises(CodecError):
        encode(record)


def test_a_record_beyond_the_limit_is_refused_both_ways() -> None:
    """What is made leaves room for headers and framing; what is read may come from others."""
    overhead = len(encode(TimelineReply("", 200, bytes(MAX_MESSAGE_BYTES // 2)))) - MAX_MESSAGE_BYTES // 2
    largest = TimelineReply("", 200, bytes(MAX_VALUE_BYTES - overhead))

    assert decode(encode(largest), TimelineReply) == largest
    with pytest.raises(CodecError, match="at most 1032192"):
        encode(TimelineReply("", 200, bytes(MAX_VALUE_BYTES - overhead + 1)))
    assert "at most 1048576" in refused(
        encode(largest) + bytes(MAX_MESSAGE_BYTES - MAX_VALUE_BYTES + 1), TimelineReply
    )


@pytest.mark.parametrize("length", [2**31, 2**62, -1, -(2**62)])
@pytest.mark.parametrize(
    "kind", [FollowEvent, TimelineRequest, TimelineReply, PostEvent], ids=lambda k: k.__name__
)
def test_a_hostile_length_allocates_nothing(kind: type[Any], length: int) -> None:
    """A length of gibibytes with nothing behind it, wherever the record has its first length."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", length)
    data = b"\xc3\x01" + lineage(kind).fingerprint + out.getvalue() + out.getvalue() * 3

    tracemalloc.start()
    refused(data, kind)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 100_000


# --- Speed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", [TASK, PostEvent("published", 1, 2, 3, "public", "de", "x" * 280, ())])
def test_a_message_is_decoded_in_a_few_times_what_its_avro_takes(record: Any) -> None:
    """The best of many turns each: the machine may be busy, the codec may not be slow (1.5 to 2.5 times here)."""
    data, kind = encode(record), type(record)
    schema = fastavro.parse_schema(lineage(kind).current)

    def bare() -> None:
        fastavro.schemaless_reader(io.BytesIO(data[10:]), schema, None)

    turns = [
        (timeit.timeit(lambda: decode(data, kind), number=100), timeit.timeit(bare, number=100))
        for _ in range(50)
    ]

    assert min(ours for ours, _ in turns) < 4 * min(theirs for _, theirs in turns)


def test_every_record_class_of_a_topic_can_be_encoded() -> None:
    assert {kind.__module__ for kind in KINDS} == {records.__name__}
    assert all(lineage(kind).current["name"] == f"io.tideline.{kind.__name__}" for kind in KINDS)
