"""A folder and a profile become a Topology, or a ConfigError that lists every problem with file and line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline import path
from pipeline.config import shipped
from pipeline.config.names import HOME, Names
from pipeline.errors import ConfigError
from pipeline.topology import files, rules, tables
from pipeline.topology.files import DEFAULT
from pipeline.topology.specs import (
    ApiSpec,
    DomainSpec,
    RankingSpec,
    RoleSpec,
    RoutingSpec,
    StageSpec,
    TierSpec,
    TopicSpec,
)
from pipeline.topology.tree import Document, Keys, Tree

Spec = TypeVar("Spec", bound=BaseModel)
Consumer = TypeVar("Consumer", StageSpec, TierSpec)

DEFAULT_BATCH = 256
"""Events a batch, of a stage that no file names."""

_NO_TOPICS = {"topics": [], "group": "", "batch": 1, "in_flight": 1}


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that runs, of the home feed or of one domain, by the names that the code speaks.

    `stages` and `tiers` are in path order, `tiers` from small to large. What Kafka calls a topic is
    `topics[…].name`; groups are Kafka's own already. `domains`: those beside the home feed, each as a whole.
    """

    folder: Path
    profile: str
    topics: dict[str, TopicSpec]
    stages: dict[str, StageSpec]
    tiers: dict[str, TierSpec]
    routing: RoutingSpec
    ranking: RankingSpec
    api: ApiSpec
    cql: str
    acls: dict[str, RoleSpec]
    names: Names = HOME
    domains: Mapping[str, "Topology"] = field(default_factory=dict)

    def of(self, domain: str) -> "Topology":
        """The topology of a domain; "": of the home feed. Raises ConfigError when there is no such domain."""
        if not domain:
            return self
        if domain not in self.domains:
            known = ", ".join(self.domains) or "none"
            raise ConfigError(f"{self.folder / 'domains'}: no domain {domain}", f"domains: {known}")
        return self.domains[domain]

    def places(self, topics: Iterable[str]) -> list[tuple[str, int]]:
        """Every partition of these topics, as Kafka knows it."""
        specs = [self.topics[topic] for topic in topics]
        return [(spec.name, number) for spec in specs for number in range(spec.partitions)]

    def tables(self, keyspace: str, replication: int | Mapping[str, str]) -> str:
        """The CQL that creates the keyspace and its tables where they are missing.

        `replication`: copies in every data centre, or Cassandra's own map of them.
        """
        return tables.render(self.cql, keyspace, replication, self.routing)


def load(folder: Path | None = None, profile: str = DEFAULT) -> Topology:
    """Read a topology folder, by default the shipped one, with a profile of its `profiles/` laid over it.

    Raises ConfigError, one line `FILE:LINE: key: reason` a problem.
    """
    folder = folder or shipped.folder("topology")
    tree = files.base(folder)
    if profile != DEFAULT:
        files.lay(files.profile(folder, profile), over=tree)
    home = _checked(folder, profile, tree)
    return replace(home, domains={one.name: _domain(home, tree, one) for one in files.domains(folder)})


def _checked(folder: Path, profile: str, tree: Tree, names: Names = HOME) -> Topology:
    """What the tree says, with the names that the engines know. Raises ConfigError as `load` does."""
    problems: list[str] = []
    topics = _named(TopicSpec, "topics", tree, problems)
    stages = _in_path_order(_named(StageSpec, "stages", tree, problems))
    tiers = _named(TierSpec, "tiers", tree, problems)
    acls = _named(RoleSpec, "acls", tree, problems)
    routing = _spec(RoutingSpec, ("routing",), tree.values["routing"], tree, problems)
    ranking = _spec(RankingSpec, ("ranking",), tree.values["ranking"], tree, problems)
    api = _spec(ApiSpec, ("api",), tree.values["api"], tree, problems)
    _raise(problems)
    assert routing is not None and ranking is not None and api is not None
    found = [
        *rules.topics(topics),
        *rules.stages(stages, topics),
        *rules.tiers(tiers, topics),
        *rules.groups(stages, tiers),
        *rules.routing(routing),
        *rules.ranking(ranking),
        *rules.api(api),
        *rules.acls(acls, topics),
    ]
    _raise(tree.problem(keys, reason) for keys, reason in found)
    topics = {name: spec.model_copy(update={"name": names.topic(name)}) for name, spec in topics.items()}
    stages, tiers = _grouped(stages, names), _grouped(tiers, names)
    cql = tables.read(folder / "tables.cql", routing)
    return Topology(folder, profile, topics, stages, tiers, routing, ranking, api, cql, acls, names)


def _in_path_order(specs: dict[str, StageSpec]) -> dict[str, StageSpec]:
    """With those that process topics and that no file names: one worker each. Unknown ones stay."""
    known = {
        name: specs[name] if name in specs else _by_default(stage)
        for name, stage in path.STAGES.items()
        if name in specs or (stage.reads and name != path.FANOUT)
    }
    return known | specs


def _by_default(stage: path.Stage) -> StageSpec:
    return StageSpec(
        name=stage.name,
        topics=stage.reads,
        group=f"tideline.{stage.name}",
        workers=1,
        batch=DEFAULT_BATCH,
        in_flight=1,
    )


def _grouped(specs: dict[str, Consumer], names: Names) -> dict[str, Consumer]:
    """With the groups that Kafka knows."""
    return {
        name: spec.model_copy(update={"group": names.group(spec.group)}) if spec.group else spec
        for name, spec in specs.items()
    }


def _domain(home: Topology, tree: Tree, document: Document) -> Topology:
    """The home feed with a domain's values laid over it, under the domain's names."""
    own, problems = document.spec, list[str]()
    shares = own.values.pop("shares", ())
    spec = _spec(DomainSpec, (), {"shares": shares}, own, problems, name=document.name)
    _raise(problems)
    assert spec is not None
    whole = tree.copy()
    files.lay(own, over=whole)
    _raise(own.problem(keys, reason) for keys, reason in rules.shares(spec.shares, own.values))
    names = Names(spec.name, rules.shared(spec.shares))
    try:
        domain = _checked(home.folder, home.profile, whole, names)
    except ConfigError as error:  # at a line of another file, perhaps, which is right without the domain
        _raise(f"{line} (domain {spec.name})" for line in error.message.splitlines())
        raise
    _raise(own.problem((), reason) for reason in rules.apart(_called(home), _called(domain), names.shares))
    return domain


def _called(of: Topology) -> set[str]:
    groups = (spec.group for specs in (of.stages, of.tiers) for spec in specs.values() if spec.group)
    return {spec.name for spec in of.topics.values()} | set(groups)


def _named(model: type[Spec], section: str, tree: Tree, problems: list[str]) -> dict[str, Spec]:
    specs = {}
    for name, raw in tree.values[section].items():
        if section == "stages" and isinstance(raw, dict) and path.without_topics(name):
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


def _reason(error: Any, model: type[BaseModel], named: Mapping[str, str]) -> str:
    match error["type"]:
        case "extra_forbidden":
            for key in error["loc"][:-1]:
                inner = model.model_fields[key].annotation
                model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else model
            known = [field for field in model.model_fields if field not in named]
            return f"unknown key, known are {', '.join(known)}"
        case "missing":
            return "is missing"
        case _:
            return str(error["msg"]).removeprefix("Input ")


def _raise(problems: Iterable[str]) -> None:
    lines = list(problems)
    if lines:
        raise ConfigError("\n".join(lines))
