"""Records of other versions, and of a registry: resolved to the current schema, or a CodecError."""

import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import shipped
from pipeline.path import RECORDS
from pipeline.wire import codec, schemas
from pipeline.wire.codec import Codec, CodecError, Registry, decode, encode
from pipeline.wire.records import AuthorClass, FanoutTask, PostEvent
from pipeline.wire.schemas import fingerprint_of, source

KINDS = sorted({kind for kind in RECORDS.values() if kind is not bytes}, key=lambda kind: kind.__name__)
TASK = FanoutTask(794563922886656001, 4711, AuthorClass.PARTIAL, 0, 255, -42)


# --- Versions -------------------------------------------------------------------------------------------


@pytest.fixture
def two_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A `schemas/` in which FanoutTask was once without `hints`, and had a `note` that is gone."""
    current = json.loads((shipped.folder("schemas") / "fanout_task.avsc").read_text())
    fields = [field for field in current["fields"] if field["name"] != "hints"]
    old = current | {"fields": [*fields, {"name": "note", "type": "string", "default": "", "doc": "Gone."}]}
    next(field for field in current["fields"] if field["name"] == "hints")["default"] = 7
    history = tmp_path / "history" / "fanout_task"
    history.mkdir(parents=True)
    (tmp_path / "fanout_task.avsc").write_text(json.dumps(current))
    (history / "1.avsc").write_text(json.dumps(old))
    (history / "2.avsc").write_text(json.dumps(current))
    monkeypatch.setattr(shipped, "folder", lambda _: tmp_path)
    monkeypatch.setattr(schemas, "_lineages", {})
    monkeypatch.setattr(codec, "_shapes", {})
    yield old


def test_an_older_version_is_read_as_the_current_one(two_versions: dict[str, Any]) -> None:
    """A field that came later has its default, a field that went is skipped."""
    values = {"post_id": 1, "author_id": 2, "author_class": "push", "first_segment": 3, "last_segment": 4}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(two_versions), values | {"note": "hello"})

    task = decode(b"\xc3\x01" + fingerprint_of(two_versions) + out.getvalue(), FanoutTask)

    assert task == FanoutTask(1, 2, AuthorClass.PUSH, 3, 4, 7)


def test_a_version_from_the_future_is_refused_by_name(two_versions: dict[str, Any]) -> None:
    future = two_versions | {"fields": [*two_versions["fields"], {"name": "x", "type": "int", "default": 0}]}

    with pytest.raises(CodecError, match="unknown schema fingerprint"):
        decode(b"\xc3\x01" + fingerprint_of(future) + bytes(9), FanoutTask)


# --- A registry -----------------------------------------------------------------------------------------


class Shelf:
    """A registry in memory: the schemas by id, and how often it was asked."""

    def __init__(self, *held: Any) -> None:
        self.held, self.asked = dict(enumerate(held, start=1)), 0

    def schema(self, schema_id: int) -> Any:
        self.asked += 1
        if schema_id not in self.held:
            raise CodecError(f"unknown schema id {schema_id}")
        return self.held[schema_id]

    def id_of(self, kind: type[Any]) -> int:
        self.asked += 1
        return next(i for i, held in self.held.items() if held["name"] == kind.__name__)


def with_registry(*held: Any) -> tuple[Codec, Shelf]:
    shelf = Shelf(*held)
    return Codec(Registry(shelf.schema, shelf.id_of)), shelf


def raw(kind: type[Any]) -> Any:
    return json.loads(source(kind))


def test_with_a_registry_the_confluent_format_is_written_and_read() -> None:
    framed, shelf = with_registry(raw(PostEvent), raw(FanoutTask))

    data = framed.encode(TASK)

    assert data == b"\x00\x00\x00\x00\x02" + encode(TASK)[10:]
    assert framed.decode(data, FanoutTask) == TASK
    assert framed.decode(framed.encode(TASK), FanoutTask) == TASK
    assert shelf.asked == 2  # once to write, once to read


def test_with_a_registry_single_objects_are_read_too() -> None:
    framed, shelf = with_registry()

    assert framed.decode(encode(TASK), FanoutTask) == TASK
    assert shelf.asked == 0


def test_a_schema_of_the_registry_is_resolved_to_ours() -> None:
    """A producer with a schema of its own: another order, and a field we do not have."""
    foreign = raw(FanoutTask)
    foreign["fields"] = [{"name": "extra", "type": "string", "default": ""}, *reversed(foreign["fields"])]
    framed, _ = with_registry(foreign)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(foreign), dataclasses.asdict(TASK) | {"extra": "x"})

    assert framed.decode(b"\x00\x00\x00\x00\x01" + out.getvalue(), FanoutTask) == TASK


@pytest.mark.parametrize(
    "held", [raw(PostEvent), "long", {"type": "record"}, {"type": "nonsense"}, [], {}, None], ids=str
)
def test_a_schema_that_is_not_ours_is_refused(held: Any) -> None:
    framed, _ = with_registry(held)

    with pytest.raises(CodecError):
        framed.decode(b"\x00\x00\x00\x00\x01" + encode(TASK)[10:], FanoutTask)


@given(st.binary(max_size=40), st.sampled_from(KINDS))
def test_any_confluent_bytes_are_a_record_or_a_codec_error(data: bytes, kind: type[Any]) -> None:
    framed, _ = with_registry(raw(kind))
    for framed_bytes in (b"\x00" + data, b"\x00\x00\x00\x00\x01" + data):
        try:
            framed.decode(framed_bytes, kind)
        except CodecError as error:
            assert error.message


def test_a_registry_that_does_not_answer_is_no_codec_error() -> None:
    """The bytes may be good: they must not go to the dead letters."""

    def down(_: Any) -> Any:
        raise ConnectionError("registry")

    framed = Codec(Registry(down, down))

    with pytest.raises(ConnectionError):
        framed.decode(b"\x00\x00\x00\x00\x01abc", FanoutTask)
    with pytest.raises(ConnectionError):
        framed.encode(TASK)
