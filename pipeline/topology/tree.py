"""The YAML files as one tree of plain values in which every key still knows its file and line.

A tree is `section → name → key`, such as `tiers → small → lag_budget`; a path is a tuple of such keys. A
problem is one line, `FILE:LINE: key: reason`, the shape editors and people can follow.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigError

API_VERSION = "tideline/v1"

Keys = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written."""

    file: Path
    line: int


@dataclass(slots=True)
class Tree:
    """Values, and the place of every path among them."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Keys, Place] = field(default_factory=dict)

    def problem(self, keys: Keys, reason: str) -> str:
        """One line about a path; about the nearest place above it when the path itself was never written."""
        known = next((keys[:n] for n in range(len(keys), -1, -1) if keys[:n] in self.places), None)
        where = f"{self.places[known].file}:{self.places[known].line}: " if known is not None else ""
        return f"{where}{'.'.join(map(str, keys))}: {reason}" if keys else f"{where}{reason}"

    def refuse(self, keys: Keys, reason: str) -> ConfigError:
        """The error for one problem."""
        return ConfigError(self.problem(keys, reason))

    def put(self, above: Keys, node: yaml.Node, file: Path) -> Any:
        """Take a node's places down under a path and return its value. Raises ConfigError for odd keys."""
        self.places[above] = Place(file, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self.put((*above, at), item, file) for at, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return yaml.SafeLoader("").construct_object(node)
        values: dict[str, Any] = {}
        for key, value in node.value:
            here = (*above, str(key.value))
            place = Place(file, key.start_mark.line + 1)
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise ConfigError(f"{place.file}:{place.line}: {key.value}: keys are plain words")
            if key.value in values:
                raise ConfigError(f"{place.file}:{place.line}: {'.'.join(map(str, here))}: is here twice")
            values[key.value] = self.put(here, value, file)
            self.places[here] = place
        return values

    def copy(self) -> "Tree":
        """The same values and places, to be changed."""
        return Tree(deepcopy(self.values), dict(self.places))

    def overlay(self, above: Keys, other: "Tree") -> None:
        """Lay the values another tree has under a path over this one's, key by key; lists are replaced."""
        mine, theirs = self._at(above), other._at(above)
        for key, value in theirs.items():
            here = (*above, key)
            self.places |= {at: place for at, place in other.places.items() if at[: len(here)] == here}
            if isinstance(value, dict) and isinstance(mine.get(key), dict):
                self.overlay(here, other)
            else:
                mine[key] = value

    def _at(self, keys: Keys) -> Any:
        value: Any = self.values
        for key in keys:
            value = value[key]
        return value


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its `metadata.name`, where that was written, and its `spec`."""

    name: str
    place: Place
    spec: Tree


def _nodes(text: str) -> list[yaml.Node]:
    try:  # by libyaml, in a tenth of the time; without it, or where it says less of what is wrong, without
        return list(yaml.compose_all(text, yaml.CSafeLoader))
    except (AttributeError, yaml.YAMLError):
        return list(yaml.compose_all(text, yaml.SafeLoader))


def documents(file: Path, kind: str) -> Iterator[Document]:
    """The documents of a file, in order.

    Raises ConfigError for a file that is missing, is no YAML, or whose documents are not of this kind.
    """
    try:
        nodes = _nodes(file.read_text())
    except OSError as error:
        raise ConfigError(
            f"{file}: {error.strerror}", "a topology is a whole folder: copy the shipped one"
        ) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{file}:{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not YAML: {error}") from error
    if not nodes:
        raise ConfigError(f"{file}:1: no document of kind {kind}")
    for node in nodes:
        whole = Tree()
        whole.values = whole.put((), node, file)
        name = _envelope(whole, kind)
        yield Document(name, whole.places["metadata", "name"], _below(whole, "spec"))


def _envelope(whole: Tree, kind: str) -> str:
    values = whole.values
    if not isinstance(values, dict):
        raise whole.refuse((), f"must have the keys {', '.join(_ENVELOPE)}")
    for key in values:
        if key not in _ENVELOPE:
            raise whole.refuse((key,), f"unknown key, known are {', '.join(_ENVELOPE)}")
    for key, must in (("apiVersion", API_VERSION), ("kind", kind)):
        if values.get(key) != must:
            raise whole.refuse((key,), f"must be {must}")
    metadata = values.get("metadata")
    if not isinstance(metadata, dict) or list(metadata) != ["name"] or not isinstance(metadata["name"], str):
        raise whole.refuse(("metadata",), "must have a `name` and nothing else")
    if not isinstance(values.get("spec"), dict):
        raise whole.refuse(("spec",), "must be a mapping")
    name: str = metadata["name"]
    return name


_ENVELOPE = ("apiVersion", "kind", "metadata", "spec")


def _below(whole: Tree, key: str) -> Tree:
    return Tree(whole.values[key], {at[1:]: place for at, place in whole.places.items() if at[:1] == (key,)})
