"""A folder and a profile become a Topology, or a ConfigError that lists every problem with file and line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline import shipped
from pipeline.errors import ConfigError
from pipeline.topology import rules
from pipeline.topology.specs import WITHOUT_TOPICS, ApiSpec, PolicySpec, StageSpec, TierSpec, TopicSpec
from pipeline.topology.tree import Keys, Place, Tree, documents

DEFAULT = "default"
"""The profile that overrides nothing."""

Spec = TypeVar("Spec", bound=BaseModel)

_SINGLE = ("policy", "api")
"""The sections that hold values instead of named entries."""

_NO_TOPICS = {"topics": [], "group": "", "batch": 1, "in_flight": 1}


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that runs, by name. `stages` and `tiers` are in path order, `tiers` from small to large."""

    folder: Path
    profile: str
    topics: dict[str, TopicSpec]
    stages: dict[str, StageSpec]
    tiers: dict[str, TierSpec]
    policy: PolicySpec
    api: ApiSpec
    cql: str

    def tables(self, keyspace: str, replication: int | Mapping[str, str]) -> str:
        """The CQL that creates the keyspace and its tables where they are missing.

        `replication`: copies in every data centre, or Cassandra's own map of them.
        """
        return _render(self.cql, keyspace, replication, self.policy)


def load(folder: Path | None = None, profile: str = DEFAULT) -> Topology:
    """Read a topology folder, by default the shipped one, with a profile of its `profiles/` laid over it.

    Raises ConfigError, one line `FILE:LINE: key: reason` a problem.
    """
    folder = folder or shipped.folder("topology")
    tree = _files(folder)
    if profile != DEFAULT:
        _lay(_profile(folder, profile), over=tree)
    problems: list[str] = []
    topics = _named(TopicSpec, "topics", tree, problems)
    stages = _named(StageSpec, "stages", tree, problems)
    tiers = _named(TierSpec, "tiers", tree, problems)
    policy = _spec(PolicySpec, ("policy",), tree.values["policy"], tree, problems)
    api = _spec(ApiSpec, ("api",), tree.values["api"], tree, problems)
    _raise(problems)
    assert policy is not None and api is not None
    found = [
        *rules.topics(topics),
        *rules.stages(stages, topics),
        *rules.tiers(tiers, topics),
        *rules.groups(stages, tiers),
        *rules.policy(policy),
        *rules.api(api),
    ]
    _raise(tree.problem(keys, reason) for keys, reason in found)
    return Topology(folder, profile, topics, stages, tiers, policy, api, _cql(folder / "tables.cql", policy))


def _files(folder: Path) -> Tree:
    """The five files as one tree; a topic's values stand under its name."""
    tree = Tree()
    for section, kind in (("stages", "Stages"), ("tiers", "Tiers"), ("policy", "Policy"), ("api", "Api")):
        file = folder / f"{section}.yaml"
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


def _profile(folder: Path, name: str) -> Tree:
    known = sorted(path.stem for path in (folder / "profiles").glob("*.yaml"))
    if name not in known:
        raise ConfigError(
            f"{folder / 'profiles'}: no profile {name}", f"profiles: {', '.join([DEFAULT, *known])}"
        )
    file = folder / "profiles" / f"{name}.yaml"
    only, *more = documents(file, "Profile")
    if more or only.name != name:
        raise ConfigError(
            f"{file}:{only.place.line}: metadata.name: one document named {name}, like its file"
        )
    return only.spec


def _lay(profile: Tree, *, over: Tree) -> None:
    """A profile sets values of what is there; it adds no stage, tier or topic."""
    for section, entries in profile.values.items():
        if section not in over.values:
            raise profile.refuse((section,), f"unknown section, known are {', '.join(over.values)}")
        if not isinstance(entries, dict):
            raise profile.refuse((section,), "must be a mapping")
        for name, values in entries.items():
            if name not in over.values[section]:
                raise profile.refuse((section, name), "nothing of this name to override")
            if section not in _SINGLE and not isinstance(values, dict):
                raise profile.refuse((section, name), "must be a mapping")
    over.overlay((), profile)


def _named(model: type[Spec], section: str, tree: Tree, problems: list[str]) -> dict[str, Spec]:
    specs = {}
    for name, raw in tree.values[section].items():
        if section == "stages" and name in WITHOUT_TOPICS and isinstance(raw, dict):
            raw = _NO_TOPICS | raw
        spec = _spec(model, (section, name), raw, tree, problems, name=name)
        if spec is not None:
            specs[name] = spec
    return specs


def _spec(
    model: type[Spec], keys: Keys, values: Any, tree: Tree, problems: list[str], **named: str
) -> Spec | None:
    """One validated spec; None when it has problems, which are added to the list."""
    if not isinstance(values, dict):
        problems.append(tree.problem(keys, "must be a mapping"))
        return None
    if "name" in values and named:
        problems.append(tree.problem((*keys, "name"), "unknown key: the name stands above"))
        return None
    try:
        return model.model_validate(values | named)
    except ValidationError as error:
        problems += [tree.problem((*keys, *one["loc"]), _reason(one, model, named)) for one in error.errors()]
        return None


def _reason(error: Any, model: type[BaseModel], named: Iterable[str]) -> str:
    match error["type"]:
        case "extra_forbidden":
            for key in error["loc"][:-1]:
                inner = model.model_fields[key].annotation
                model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else model
            return (
                f"unknown key, known are {', '.join(key for key in model.model_fields if key not in named)}"
            )
        case "missing":
            return "is missing"
        case _:
            return str(error["msg"]).removeprefix("Input ")


def _cql(file: Path, policy: PolicySpec) -> str:
    try:
        cql = file.read_text()
        _render(cql, "trial", 1, policy)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"{file}: {error}: not a placeholder", "there are {keyspace}, {replication} and {window_seconds}"
        ) from error
    return cql


def _render(cql: str, keyspace: str, replication: int | Mapping[str, str], policy: PolicySpec) -> str:
    if isinstance(replication, int):
        replication = {"class": "NetworkTopologyStrategy", "replication_factor": str(replication)}
    options = ", ".join(f"'{option}': '{value}'" for option, value in replication.items())
    return cql.format(
        keyspace=keyspace, replication=f"{{{options}}}", window_seconds=policy.window_ms // 1000
    )


def _raise(problems: Iterable[str]) -> None:
    lines = list(problems)
    if lines:
        raise ConfigError("\n".join(lines))
