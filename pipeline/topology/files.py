"""The files of a folder as trees of plain values, and what is laid over them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.topology.tree import Document, Keys, Place, Tree, documents

DEFAULT = "default"
"""The profile that overrides nothing."""

FLAT = ("routing", "ranking", "api")
"""The sections whose values have no name above them."""


def base(folder: Path) -> Tree:
    """The files as one tree; a topic's values stand under its name."""
    tree = Tree()
    for section in ("stages", "tiers", "acls", *FLAT):
        kind = section.capitalize()
        file = folder / f"{section}.yaml"
        if section == "routing" and (folder / "policy.yaml").exists():
            raise ConfigError(
                f"{folder / 'policy.yaml'}: is {file.name} now, of kind {kind}",
                "rename both, and the section `policy` of profiles/ and domains/",
            )
        found = list(documents(file, kind))
        if len(found) > 1:
            raise ConfigError(f"{file}: one document of kind {kind}, not {len(found)}")
        _hang(tree, (section,), found[0].spec)
    file = folder / "topics.yaml"
    tree.values["topics"], tree.places["topics",] = {}, Place(file, 1)
    for topic in documents(file, "Topic"):
        if topic.name in tree.values["topics"]:
            raise ConfigError(f"{topic.place.file}:{topic.place.line}: topic {topic.name} is here twice")
        _hang(tree, ("topics", topic.name), topic.spec)
    return tree


def _hang(tree: Tree, under: Keys, other: Tree) -> None:
    into: Any = tree.values
    for key in under[:-1]:
        into = into[key]
    into[under[-1]] = other.values
    tree.places |= {(*under, *at): place for at, place in other.places.items()}


def profile(folder: Path, name: str) -> Tree:
    """What a profile overrides. Raises ConfigError when there is none of this name."""
    known = sorted(path.stem for path in (folder / "profiles").glob("*.yaml"))
    if name not in known:
        raise ConfigError(
            f"{folder / 'profiles'}: no profile {name}", f"profiles: {', '.join([DEFAULT, *known])}"
        )
    return _only(folder / "profiles" / f"{name}.yaml", "Profile").spec


def domains(folder: Path) -> Iterator[Document]:
    """Every domain, by name."""
    for file in sorted((folder / "domains").glob("*.yaml")):
        yield _only(file, "Domain")


def _only(file: Path, kind: str) -> Document:
    only, *more = documents(file, kind)
    if more or only.name != file.stem:
        line = only.place.line
        raise ConfigError(f"{file}:{line}: metadata.name: one document named {file.stem}, like its file")
    return only


def lay(overlay: Tree, *, over: Tree) -> None:
    """A profile, or a domain, sets values of what is there; it adds no stage, tier or topic."""
    for section, entries in overlay.values.items():
        if section not in over.values:
            raise overlay.refuse((section,), f"unknown section, known are {', '.join(over.values)}")
        if not isinstance(entries, dict):
            raise overlay.refuse((section,), "must be a mapping")
        for name, values in entries.items():
            if name not in over.values[section]:
                raise overlay.refuse((section, name), "nothing of this name to override")
            if section not in FLAT and not isinstance(values, dict):
                raise overlay.refuse((section, name), "must be a mapping")
    over.overlay((), overlay)
