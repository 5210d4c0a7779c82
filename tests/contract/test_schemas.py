"""The schemas, their history and their examples, held against the records and against each other.

Two gates stand between a change of a schema and its users: `unreleased` (a change is a new file in
`schemas/history`) and `incompatibilities` (full transitive: every version reads every other). Each gate is
also shown to refuse.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import permutations
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import avro.schema
import pytest
import yaml
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from pipeline import path as declared
from pipeline.config import shipped
from pipeline.wire import records
from pipeline.wire.schemas import file_name, fingerprint_of, lineage, versions

SCHEMAS = shipped.folder("schemas")
FILES = sorted(SCHEMAS.glob("*.avsc"))
NAMES = [path.stem for path in FILES]
RECORDS = {file_name(kind): kind for kind in declared.RECORDS.values() if kind is not bytes}

every_schema = pytest.mark.parametrize("name", NAMES)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def current(name: str) -> Any:
    return read(SCHEMAS / f"{name}.avsc")


# --- The gates ------------------------------------------------------------------------------------------


def incompatibilities(schemas: Sequence[Any]) -> list[str]:
    """Why some of these schemas cannot read what another of them wrote."""
    parsed = [avro.schema.parse(json.dumps(schema)) for schema in schemas]
    found = []
    for reader, writer in permutations(parsed, 2):
        result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
        if result.compatibility is not SchemaCompatibilityType.compatible:
            found += sorted(result.messages)
    return found


def unreleased(schema: Any, history: Sequence[Any]) -> bool:
    """Whether a schema says something its newest release does not; other docs are no other schema."""
    return not history or _bare(schema) != _bare(history[-1])


def _bare(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _bare(value) for key, value in schema.items() if key != "doc"}
    return [_bare(item) for item in schema] if isinstance(schema, list) else schema


@every_schema
def test_every_version_reads_every_other(name: str) -> None:
    """Full transitive compatibility, over all releases and the current schema."""
    assert incompatibilities([*map(read, versions(name)), current(name)]) == []


@every_schema
def test_the_current_schema_is_released(name: str) -> None:
    """A change of a schema is a new file in its history; files already there stay as they are."""
    files = versions(name)

    assert [path.stem for path in files] == [str(n) for n in range(1, len(files) + 1)]
    assert not unreleased(current(name), [read(path) for path in files])


def _changed(schema_name: str, **field: Any) -> Any:
    """The schema with one field changed, or with another one if it has none of that name."""
    schema = current(schema_name)
    others = [each for each in schema["fields"] if each["name"] != field["name"]]
    return schema | {"fields": [*others, {"doc": "changed"} | field]}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "new", "type": "long"},  # no default: cannot read what was written before
        {"name": "hints", "type": "string"},
        {"name": "hints", "type": "double"},  # reads old longs, but old readers cannot read it
        {"name": "author_class", "type": {"type": "enum", "name": "AuthorClass", "symbols": ["push"]}},
    ],
    ids=lambda change: f"{change['name']}-{change['type'] if isinstance(change['type'], str) else 'enum'}",
)
def test_an_incompatible_change_is_refused(change: dict[str, Any]) -> None:
    assert incompatibilities([current("fanout_task"), _changed("fanout_task", **change)])


def test_a_field_with_a_default_is_compatible() -> None:
    change = {"name": "new", "type": ["null", "long"], "default": None}

    assert incompatibilities([current("fanout_task"), _changed("fanout_task", **change)]) == []


def test_an_incompatible_older_version_is_found_behind_a_compatible_one() -> None:
    """1 -> 2 and 2 -> 3 are fine, 1 -> 3 is not: a default that went away."""
    one = {"type": "record", "name": "R", "fields": []}
    two = one | {"fields": [{"name": "a", "type": "long", "default": 0}]}
    three = one | {"fields": [{"name": "a", "type": "long"}]}

    assert not incompatibilities([one, two])
    assert not incompatibilities([two, three])
    assert incompatibilities([one, two, three])


def test_an_unreleased_change_is_refused() -> None:
    history = [read(path) for path in versions("fanout_task")]
    changed = _changed("fanout_task", name="new", type=["null", "long"], default=None)

    assert unreleased(changed, history)
    assert unreleased(current("fanout_task"), [])


def test_another_default_is_a_change_and_another_doc_is_none() -> None:
    schema = current("post_event")
    imported = schema["fields"][-1]

    assert unreleased(schema | {"fields": [*schema["fields"][:-1], imported | {"default": True}]}, [schema])
    assert not unreleased(schema | {"doc": "in other words"}, [schema])


# --- Schemas and records --------------------------------------------------------------------------------


def undocumented(schema: Any, path: str = "") -> Iterator[str]:
    """The records, enums and fields without a doc."""
    if isinstance(schema, list):
        for branch in schema:
            yield from undocumented(branch, path)
    if not isinstance(schema, dict):
        return
    here = f"{path}/{schema['name']}" if "name" in schema else path
    if schema.get("type") in ("record", "enum") and not schema.get("doc", "").strip():
        yield here
    for field in schema.get("fields", []):
        if not field.get("doc", "").strip():
            yield f"{here}.{field['name']}"
    for inner in (schema.get("type"), schema.get("items"), schema.get("values"), *schema.get("fields", [])):
        yield from undocumented(inner, here)


@every_schema
def test_every_record_enum_and_field_is_documented(name: str) -> None:
    assert list(undocumented(current(name))) == []


def test_a_missing_doc_is_found_at_any_depth() -> None:
    schema = current("route_record")
    entry = schema["fields"][1]["type"]["items"]
    del schema["doc"], schema["fields"][0]["doc"], entry["doc"], entry["fields"][1]["type"]["doc"]

    assert set(undocumented(schema)) == {
        "/RouteRecord",
        "/RouteRecord.author_id",
        "/RouteRecord/entries/RouteEntry",
        "/RouteRecord/entries/RouteEntry/author_class/AuthorClass",
    }


def avro_of(hint: Any) -> Any:
    """The type a field of a record has to have in its schema; `int` may be Avro's int or long."""
    if get_origin(hint) is UnionType:
        return ["null", *(avro_of(member) for member in get_args(hint) if member is not NoneType)]
    if get_origin(hint) is tuple:
        return {"type": "array", "items": avro_of(get_args(hint)[0])}
    if dataclasses.is_dataclass(hint):
        return fields_of(hint)
    if get_origin(hint) is not None and get_args(hint)[0] is str:
        return {"type": "map", "values": avro_of(get_args(hint)[1])}
    if issubclass(hint, Enum):
        return {"type": "enum", "name": hint.__name__, "symbols": [str(member) for member in hint]}
    return {int: "long", float: "double", str: "string", bool: "boolean", bytes: "bytes"}[hint]


def fields_of(kind: type[Any]) -> Any:
    hints = get_type_hints(kind)
    return kind.__name__, [(field.name, avro_of(hints[field.name])) for field in dataclasses.fields(kind)]


def shape_of(schema: Any) -> Any:
    """A schema in the terms of `avro_of`."""
    match schema:
        case "int":
            return "long"
        case list():
            return [shape_of(branch) for branch in schema]
        case {"type": "record", "name": name, "fields": fields}:
            return name, [(field["name"], shape_of(field["type"])) for field in fields]
        case {"type": "array", "items": items}:
            return {"type": "array", "items": shape_of(items)}
        case {"type": "enum", "name": name, "symbols": symbols}:
            return {"type": "enum", "name": name, "symbols": symbols}
        case _:
            return schema


@every_schema
def test_records_and_schemas_agree_field_by_field(name: str) -> None:
    """The same fields of the same types in the same order; the codec builds records from that."""
    assert shape_of(current(name)) == fields_of(RECORDS[name])


@every_schema
def test_records_and_schemas_agree_on_defaults(name: str) -> None:
    defaults = {field["name"]: field["default"] for field in current(name)["fields"] if "default" in field}
    of_record = {
        field.name: list(field.default) if isinstance(field.default, tuple) else field.default
        for field in dataclasses.fields(RECORDS[name])
        if field.default is not dataclasses.MISSING
    }

    assert defaults == of_record


def test_every_record_class_is_in_a_schema_and_every_schema_has_a_class() -> None:
    classes = {
        kind for kind in vars(records).values() if dataclasses.is_dataclass(kind) and isinstance(kind, type)
    }
    names = set()
    for schema in map(read, FILES):
        names |= {part["name"] for part in _parts(schema) if part.get("type") == "record"}

    assert names == {kind.__name__ for kind in classes}
    assert set(NAMES) == set(RECORDS)


def _parts(schema: Any) -> Iterator[Any]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _parts(value)
    if isinstance(schema, list):
        for item in schema:
            yield from _parts(item)


def test_one_namespace_and_one_meaning_a_name() -> None:
    """A type that is in two schemas is the same in both."""
    seen: dict[str, Any] = {}
    for schema in map(read, FILES):
        assert schema["namespace"] == "io.tideline"
        for part in _parts(schema):
            if part.get("type") in ("record", "enum"):
                assert seen.setdefault(part["name"], part) == part


# --- Topics, history and examples: no orphans -----------------------------------------------------------


def test_every_topic_has_a_record_and_every_entry_a_topic() -> None:
    documents = yaml.safe_load_all((shipped.folder("topology") / "topics.yaml").read_text())

    assert {document["metadata"]["name"] for document in documents} == set(declared.TOPICS)


def test_history_and_examples_are_of_schemas_that_exist() -> None:
    assert sorted(path.name for path in (SCHEMAS / "history").iterdir()) == NAMES
    assert sorted(path.stem for path in (SCHEMAS / "examples").iterdir()) == NAMES


@every_schema
def test_every_release_can_be_read(name: str) -> None:
    releases = lineage(RECORDS[name]).releases

    assert {fingerprint_of(read(path)) for path in versions(name)} <= set(releases)


def test_fingerprints_are_those_of_the_specification() -> None:
    """`"int"` has 0x7275d51a3f395c8f, written little-endian; avro's own package agrees on ours."""
    assert fingerprint_of("int") == bytes.fromhex("8f5c393f1ad57572")
    for path in FILES:
        assert fingerprint_of(read(path)) == avro.schema.parse(path.read_text()).fingerprint("CRC-64-AVRO")
