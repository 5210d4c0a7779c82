"""What no single type can say: how the parts of a topology have to agree. Each rule yields its problems."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline import path
from pipeline.path import RECORDS, TOPICS
from pipeline.topology.specs import (
    ApiSpec,
    RankingSpec,
    RoleSpec,
    RoutingSpec,
    StageSpec,
    TierSpec,
    TopicSpec,
)
from pipeline.topology.tree import Keys

Problem = tuple[Keys, str]

SHAREABLE = tuple(one.name for one in TOPICS.values() if one.shareable and not one.renamed)


def topics(specs: Mapping[str, TopicSpec]) -> Iterator[Problem]:
    """Every topic the code speaks on is there, and those that are state are compacted."""
    for name, topic in TOPICS.items():
        other = topic.along
        if name not in specs:
            if not topic.is_fanout:
                yield ("topics",), f"{name} is missing"
            continue
        if topic.compacted and specs[name].configs.get("cleanup.policy") != "compact":
            yield ("topics", name, "configs"), "cleanup.policy must be compact: readers hold this topic whole"
        if other in specs and specs[name].partitions != specs[other].partitions:
            reason = (
                f"must be {specs[other].partitions}, as {other} has: what is about one key has one writer"
            )
            yield ("topics", name, "partitions"), reason


def stages(specs: Mapping[str, StageSpec], topics: Mapping[str, TopicSpec]) -> Iterator[Problem]:
    """Stages there is code for, each reading topics that exist."""
    known = [name for name in path.STAGES if name != path.FANOUT]
    for name, spec in specs.items():
        if name not in known:
            yield ("stages", name), f"unknown stage, known are {', '.join(known)}"
        elif path.without_topics(name):
            if spec.topics or spec.group:
                yield ("stages", name), "reads no topics and has no group"
        else:
            if not spec.topics:
                yield ("stages", name, "topics"), "must name a topic"
            if not spec.group:
                yield ("stages", name, "group"), "must not be empty"
        for at, topic in enumerate(spec.topics):
            if topic not in topics:
                yield ("stages", name, "topics", at), f"no topic {topic} in topics.yaml"
            elif RECORDS.get(topic, bytes) is bytes:
                yield ("stages", name, "topics", at), f"no record is known to travel on {topic}"


def shares(names: Sequence[str], overridden: Mapping[str, Any]) -> Iterator[Problem]:
    """A domain reads from the home feed only what nobody but users writes, and as the home feed has it."""
    for at, topic in enumerate(names):
        if topic in TOPICS and TOPICS[topic].renamed:
            yield ("shares", at), f"{topic} is {TOPICS[topic].renamed} now, which shares both"
        elif topic not in SHAREABLE:
            reason = f"must be one of {', '.join(SHAREABLE)}: {topic} is of one feed"
            yield ("shares", at), reason
    for topic in overridden.get("topics", ()):
        if topic in shared(names):
            yield ("topics", topic), "is shared, so it is as the home feed has it"


def shared(names: Iterable[str]) -> frozenset[str]:
    """These topics, and those that were called otherwise: an event on either counts in both feeds."""
    return frozenset(names) | {one.name for one in TOPICS.values() if one.renamed in names}


def apart(home: set[str], domain: set[str], shared: frozenset[str]) -> Iterator[str]:
    """No topic or group of a domain's own is called like one of the home feed."""
    for name in sorted(home & domain - shared):
        yield f"{name} is of the home feed already: another name for the domain tells them apart"


def tiers(specs: Mapping[str, TierSpec], topics: Mapping[str, TopicSpec]) -> Iterator[Problem]:
    """Tiers in order of size, the last without a limit, each on a fan-out topic of its own."""
    below = 0
    last = list(specs)[-1] if specs else None
    if not specs:
        yield ("tiers",), "must have a tier"
    for name, spec in specs.items():
        at: Keys = ("tiers", name)
        if spec.topic not in topics:
            yield (*at, "topic"), f"no topic {spec.topic} in topics.yaml"
        elif spec.topic not in TOPICS or not TOPICS[spec.topic].is_fanout:
            yield (*at, "topic"), f"{spec.topic} carries no fan-out tasks"
        if not spec.group:
            yield (*at, "group"), "must not be empty"
        if name == last:
            if spec.max_followers is not None:
                yield (*at, "max_followers"), "must be null in the last tier, which takes every author left"
        elif spec.max_followers is None:
            yield (*at, "max_followers"), "only the last tier may be without a limit"
        elif spec.max_followers <= below:
            yield (*at, "max_followers"), f"must be above {below}, the limit of the tier before"
        else:
            below = spec.max_followers
        if spec.act is not None:
            steps = (spec.act.release, spec.act.shed, spec.act.rate, spec.act.pull)
            if list(steps) != sorted(steps):
                yield (*at, "act"), "release, shed, rate and pull must not fall: the milder comes first"
    shared = Counter(spec.topic for spec in specs.values())
    for name, spec in specs.items():
        if shared[spec.topic] > 1:
            yield (
                ("tiers", name, "topic"),
                f"{spec.topic} has another tier: tiers must not hold each other up",
            )


def groups(stages: Mapping[str, StageSpec], tiers: Mapping[str, TierSpec]) -> Iterator[Problem]:
    """No two consumers share a group: they would take each other's partitions."""
    seen: dict[str, str] = {}
    for section, specs in (("stages", stages), ("tiers", tiers)):
        for name, spec in specs.items():
            first = seen.setdefault(spec.group, f"{section}.{name}")
            if spec.group and first != f"{section}.{name}":
                yield (section, name, "group"), f"{spec.group} is the group of {first}"


def routing(spec: RoutingSpec) -> Iterator[Problem]:
    """Thresholds in order, and a margin that covers what the clocks may be apart."""
    if spec.push_below > spec.pull_above:
        yield ("routing", "push_below"), f"must not be above pull_above, which is {spec.pull_above}"
    if spec.clock_ahead_seconds > spec.margin_seconds / 2:  # caches take the other half: decision 7
        yield (
            ("routing", "margin_seconds"),
            f"must be at least twice clock_ahead_seconds, which is {spec.clock_ahead_seconds:g}",
        )


def ranking(spec: RankingSpec) -> Iterator[Problem]:
    """Each step of a ranked page is as wide as the one before, or narrower."""
    if spec.pruned > spec.candidates:
        yield ("ranking", "pruned"), f"must not be above candidates, which is {spec.candidates}"


def api(spec: ApiSpec) -> Iterator[Problem]:
    """The time a page has by default is one that a request may ask for."""
    if spec.deadline_ms > spec.deadline_max_ms:
        yield ("api", "deadline_ms"), f"must not be above deadline_max_ms, which is {spec.deadline_max_ms}"


def acls(specs: Mapping[str, RoleSpec], topics: Mapping[str, TopicSpec]) -> Iterator[Problem]:
    """Permissions are about topics that exist."""
    for role, spec in specs.items():
        for operation, patterns in spec.topics.items():
            for at, pattern in enumerate(patterns):
                prefix = pattern.removesuffix("*")
                if pattern in topics or (
                    prefix != pattern and any(_begins(prefix, topic) for topic in topics)
                ):
                    continue
                yield ("acls", role, "topics", operation, at), f"no topic {pattern} in topics.yaml"


def _begins(prefix: str, topic: str) -> bool:
    """Either way round: a role may have topics of its own that begin with one of ours."""
    return topic.startswith(prefix) or prefix.startswith(f"{topic}.")
