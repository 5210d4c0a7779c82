"""Whatever of `topology/` would not run is refused, with file and line.

Each refusal changes one place of the shipped folder; the problem has to be told at the line of that place.
"""

import shutil
from pathlib import Path

import pytest

from pipeline import topology
from pipeline.config import shipped
from pipeline.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped folder to spoil."""
    return Path(shutil.copytree(shipped.folder("topology"), tmp_path / "topology"))


def change(file: Path, old: str, new: str) -> int:
    """Replace the first `old` in a file; returns its line."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def refusal(folder: Path, profile: str = "default") -> str:
    with pytest.raises(ConfigError) as caught:
        topology.load(folder, profile)
    return caught.value.message


ROUTING = [
    (
        "push_below: 100000 ",
        "push_under: 1",
        "routing.push_under: unknown key, known are push_below, pull_above",
    ),
    ("push_below: 100000 ", "push_below: yes", "routing.push_below: should be a valid integer"),
    ("push_below: 100000 ", "push_below: '1'", "routing.push_below: should be a valid integer"),
    ("push_below: 100000 ", "push_below: 1.5", "routing.push_below: should be a valid integer"),
    ("push_below: 100000 ", "push_below: -1", "routing.push_below: should be greater than or equal to 0"),
    (
        "push_below: 100000 ",
        "push_below: 5000001",
        "routing.push_below: must not be above pull_above, which is 5000000",
    ),
    ("hysteresis: 0.2 ", "hysteresis: 1.0", "routing.hysteresis: should be less than 1"),
    (
        "margin_seconds: 60 ",
        "margin_seconds: 19.9",
        "routing.margin_seconds: must be at least twice clock_ahead_seconds",
    ),
    ("margin_seconds: 60 ", "push_below: 5", "spec.push_below: is here twice"),
    ("margin_seconds: 60 ", "7: 5", "7: keys are plain words"),
    ("margin_seconds: 60 ", "margin_seconds: [60]", "routing.margin_seconds: should be a valid number"),
    ("margin_seconds: 60 ", "margin_seconds: .nan", "routing.margin_seconds: should be"),
    ("window_days: 30 ", "window_days: 7300", "routing.window_days: should be less than or equal to 7299"),
    (
        "segment_size: 1000 ",
        "segment_size: 1001",
        "routing.segment_size: should be less than or equal to 1000",
    ),
    (
        "tasks_per_post: 256 ",
        "tasks_per_post: 0",
        "routing.tasks_per_post: should be greater than or equal to 1",
    ),
    ("apiVersion: tideline/v1", "apiVersion: tideline/v2", "apiVersion: must be tideline/v1"),
    ("kind: Routing", "kind: Topic", "kind: must be Routing"),
    ("kind: Routing", "kinds: Routing", "kinds: unknown key, known are apiVersion, kind, metadata, spec"),
    (
        "metadata:\n  name: default",
        "metadata:\n  title: default",
        "metadata: must have a `name` and nothing else",
    ),
    ("  push_below", "\tpush_below", "not YAML: found character '\\t' that cannot start any token"),
]
TIERS = [
    ("small: ", "small: {}\n  tiny: ", "tiers.small.topic: is missing"),
    ("small: ", "Small: ", "tiers.Small.name: "),
    ("topic: fanout.small", "topic: fanout.tiny", "tiers.small.topic: no topic fanout.tiny in topics.yaml"),
    ("topic: fanout.small", "topic: posts", "tiers.small.topic: posts carries no fan-out tasks"),
    ("topic: fanout.medium", "topic: fanout.small", "tiers.medium.topic: fanout.small has another tier"),
    (
        "tideline.fanout.medium",
        "tideline.fanout.small",
        "tiers.medium.group: tideline.fanout.small is the group of",
    ),
    (
        "tideline.fanout.medium",
        "tideline.graph",
        "tiers.medium.group: tideline.graph is the group of stages.graph",
    ),
    ("tideline.fanout.medium", "''", "tiers.medium.group: must not be empty"),
    (
        "max_followers: 10000",
        "max_followers: 1000",
        "tiers.medium.max_followers: must be above 1000, the limit",
    ),
    ("max_followers: 10000", "max_followers: null", "tiers.medium.max_followers: only the last tier may be"),
    (
        "max_followers: null",
        "max_followers: 99999",
        "tiers.large.max_followers: must be null in the last tier",
    ),
    ("lag_budget: 5,", "lag_budget: 0,", "tiers.medium.lag_budget: should be greater than 0"),
    ("objective: 0.99", "objective: 99", "tiers.small.objective: should be less than 1"),
    ("workers: 1", "workers: 0", "tiers.small.workers: should be greater than or equal to 1"),
    ("workers: 1", "worker: 1", "tiers.small.worker: unknown key, known are topic, group, workers"),
    ("workers: 1", "name: x, workers: 1", "tiers.small.name: unknown key"),
]
STAGES = [
    ("[posts]", "[follow]", "stages.classify.topics.0: no topic follow in topics.yaml"),
    ("[posts]", "[dead.letters]", "stages.classify.topics.0: no record is known to travel on dead.letters"),
    ("[posts]", "[]", "stages.classify.topics: must name a topic"),
    ("[posts]", "posts", "stages.classify.topics: should be a valid tuple"),
    ("[posts]", "[5]", "stages.classify.topics.0: should be a valid string"),
    ("graph: ", "graphs: ", "stages.graphs: unknown stage, known are graph, readers"),
    ("tideline.graph", "''", "stages.graph.group: must not be empty"),
    (
        "tideline.readers",
        "tideline.graph",
        "stages.readers.group: tideline.graph is the group of stages.graph",
    ),
]
TOPICS = [
    (
        "  partitions: 4",
        "  partitions: 0",
        "topics.accounts.partitions: should be greater than or equal to 1",
    ),
    ("  replicas: 1", "  replica: 1", "topics.accounts.replica: unknown key, known are partitions, replicas"),
    (
        "    retention.ms: 2592000000",
        "    retention.ms: [1]",
        "topics.accounts.configs.retention.ms: should be a",
    ),
    (
        "  partitions: 4\n  replicas: 1\n  configs:\n    retention.ms: 2592000000\n    message.timestamp.type",
        "  partitions: 5\n  replicas: 1\n  configs:\n    retention.ms: 2592000000\n    message.timestamp.type",
        "topics.edge.marks.partitions: must be 4, as follows has",
    ),
    (
        '  configs:\n    cleanup.policy: "compact"',
        "  configs:\n    segment.ms: 1",
        "topics.accounts.erased.configs: cleanup.policy must be",
    ),
]
API = [
    ("auth: required", "auth: maybe", "api.auth: should be 'required' or 'none'"),
    ("auth: required", "auth: no", "api.auth: should be 'required' or 'none'"),
    ("auth: required", "auth: null", "api.auth: should be 'required' or 'none'"),
    ("auth: required", "auths: none", "api.auths: unknown key, known are auth, rate_per_second, burst"),
    ("rate_per_second: 10 ", "rate_per_second: 0 ", "api.rate_per_second: should be greater than 0"),
    ("rate_per_second: 10 ", "rate_per_second: .inf ", "api.rate_per_second: should be a finite number"),
    ("burst: 50", "burst: 0", "api.burst: should be greater than or equal to 1"),
    ("burst: 50", "burst: 1.5", "api.burst: should be a valid integer"),
    (
        "deadline_ms: 200 ",
        "deadline_ms: 10001",
        "api.deadline_ms: must not be above deadline_max_ms, which is 10000",
    ),
    (
        "deadline_max_ms: 10000",
        "deadline_max_ms: 0",
        "api.deadline_max_ms: should be greater than or equal to 1",
    ),
    ("pages: 10000", "pages: 0", "api.caches.pages: should be greater than or equal to 1"),
    ("pages: 10000", "page: 5", "api.caches.page: unknown key, known are readers, authors, posts"),
    ("kind: Api", "kind: Routing", "kind: must be Api"),
]
RANKING = [
    ("model: weighted ", "models: weighted ", "ranking.models: unknown key, known are model, candidates"),
    ("model: weighted ", "model: Weighted! ", "ranking.model: String should match pattern"),
    ("model: weighted ", "model: 5 ", "ranking.model: should be a valid string"),
    ("candidates: 2000 ", "candidates: 10001 ", "ranking.candidates: should be less than or equal to 10000"),
    ("candidates: 2000 ", "candidates: 0 ", "ranking.candidates: should be greater than or equal to 1"),
    ("pruned: 300 ", "pruned: 2001 ", "ranking.pruned: must not be above candidates, which is 2000"),
    ("pruned: 300 ", "pruned: 99 ", "ranking.pruned: should be greater than or equal to 100"),
    ("frontier: 100 ", "frontier: 0 ", "ranking.frontier: should be greater than or equal to 1"),
    ("counters_hours: 24 ", "counters_hours: 1.5 ", "ranking.counters_hours: should be a valid integer"),
    ("counters_hours: 24 ", "counters_hours: 169 ", "ranking.counters_hours: should be less than or equal"),
    ("diversity: 0.5 ", "diversity: -0.5 ", "ranking.diversity: should be greater than or equal to 0"),
    ("diversity: 0.5 ", "diversity: .inf ", "ranking.diversity: should be less than or equal to 100"),
    (
        "half_life_hours: 6 ",
        "half_life_hours: 0 ",
        "ranking.options.weighted.half_life_hours: should be greater than 0",
    ),
    (
        "half_life_hours: 6 ",
        "half_life: 6 ",
        "ranking.options.weighted.half_life: unknown key, known are half_life_hours, weights",
    ),
    ("affinity: 0.5 ", "affinity: .nan ", "ranking.options.weighted.weights.affinity: should be"),
    (
        "affinity: 0.5 ",
        "affinities: 0.5 ",
        "ranking.options.weighted.weights.affinities: unknown key, known are age, affinity, author_prior",
    ),
    (
        "negative: 2 ",
        "negative: -2 ",
        "ranking.options.weighted.weights.negative: should be greater than or equal to 0",
    ),
    ("weights:\n", "weights: {age: 1}\n    mine:\n", "ranking.options.weighted.weights.affinity: is missing"),
    ("    weighted:\n", "    mine: 5\n    weighted:\n", "ranking.options.mine: should be a valid dictionary"),
    ("options: ", "options: {mine: {}}\n  more: ", "ranking.options.weighted: is missing"),
]
ACLS = [
    (
        "      Write: [accounts,",
        "      Write: [accounting,",
        "acls.upstream.topics.Write.0: no topic accounting in topics.yaml",
    ),
    (
        "      Write: [accounts,",
        "      write: [accounts,",
        "acls.upstream.topics.write.[key]: should be 'Read', 'Write'",
    ),
    (
        "Read: [gateway*]",
        "Write: [gateway*]",
        "acls.gateway.groups.Write.[key]: should be 'Read', 'Describe' or 'Delete'",
    ),
    (
        "[Describe, AlterConfigs]",
        "[ClusterAction]",
        "acls.operators.cluster.0: should be 'Create', 'Describe'",
    ),
    ("Read: [gateway*]", "Read: ['g*y']", "acls.gateway.groups.Read.0: String should match pattern"),
]
CASES = [
    *(("acls.yaml", *case) for case in ACLS),
    *(("api.yaml", *case) for case in API),
    *(("routing.yaml", *case) for case in ROUTING),
    *(("tiers.yaml", *case) for case in TIERS),
    *(("stages.yaml", *case) for case in STAGES),
    *(("topics.yaml", *case) for case in TOPICS),
    *(("ranking.yaml", *case) for case in RANKING),
]


@pytest.mark.parametrize(("file", "old", "new", "problem"), CASES, ids=[f"{c[0]}: {c[2]}" for c in CASES])
def test_a_problem_is_told_with_file_and_line(
    folder: Path, file: str, old: str, new: str, problem: str
) -> None:
    line = change(folder / file, old, new)
    told = refusal(folder).splitlines()

    assert any(each.startswith(f"{folder / file}:{line}: {problem}") for each in told), told


def test_all_problems_are_told_at_once(folder: Path) -> None:
    first = change(folder / "routing.yaml", "hysteresis: 0.2 ", "hysteresis: 2 ")
    second = change(folder / "tiers.yaml", "lag_budget: 5,", "lag_budget: five,")

    assert sorted(line.split(": ")[0] for line in refusal(folder).splitlines()) == [
        f"{folder / 'routing.yaml'}:{first}",
        f"{folder / 'tiers.yaml'}:{second}",
    ]


def test_a_topic_that_is_here_twice_is_refused_at_the_second(folder: Path) -> None:
    line = change(folder / "topics.yaml", "  name: follows", "  name: accounts")

    assert refusal(folder) == f"{folder / 'topics.yaml'}:{line}: topic accounts is here twice"


def test_a_topic_the_code_speaks_on_must_be_there(folder: Path) -> None:
    change(folder / "topics.yaml", "  name: author.suspensions", "  name: author.answers")

    assert refusal(folder).startswith(f"{folder / 'topics.yaml'}:1: topics: author.suspensions is missing")


@pytest.mark.parametrize(
    "file",
    [
        "topics.yaml",
        "stages.yaml",
        "tiers.yaml",
        "routing.yaml",
        "ranking.yaml",
        "api.yaml",
        "acls.yaml",
        "tables.cql",
    ],
)
def test_a_missing_file_is_refused(folder: Path, file: str) -> None:
    (folder / file).unlink()

    assert refusal(folder) == f"{folder / file}: No such file or directory"


def test_a_folder_of_before_is_told_what_is_called_otherwise(folder: Path) -> None:
    (folder / "routing.yaml").rename(folder / "policy.yaml")

    assert refusal(folder) == f"{folder / 'policy.yaml'}: is routing.yaml now, of kind Routing"


@pytest.mark.parametrize("text", ["", "- 1\n", "just words\n", "spec: 5\n"])
def test_a_file_of_something_else_is_refused(folder: Path, text: str) -> None:
    (folder / "routing.yaml").write_text(text)

    assert refusal(folder).startswith(f"{folder / 'routing.yaml'}:1: ")


def test_a_tier_must_be_there(folder: Path) -> None:
    (folder / "tiers.yaml").write_text(
        "apiVersion: tideline/v1\nkind: Tiers\nmetadata: {name: default}\nspec: {}\n"
    )

    assert refusal(folder) == f"{folder / 'tiers.yaml'}:4: tiers: must have a tier"


def test_an_unknown_placeholder_in_the_tables_is_refused(folder: Path) -> None:
    change(folder / "tables.cql", "{window_seconds}\n  AND", "{seconds}\n  AND")

    assert refusal(folder) == f"{folder / 'tables.cql'}: 'seconds': not a placeholder"


@pytest.mark.parametrize("profile", ["large-graph", "../routing", "", "small-graph.yaml"])
def test_an_unknown_profile_is_refused(folder: Path, profile: str) -> None:
    assert refusal(folder, profile) == f"{folder / 'profiles'}: no profile {profile}"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("margin_seconds: 2", "margin: 2", "routing.margin: nothing of this name to override"),
        ("margin_seconds: 2", "margin_seconds: two", "routing.margin_seconds: should be a valid number"),
        (
            "margin_seconds: 2",
            "margin_seconds: 1",
            "routing.margin_seconds: must be at least twice clock_ahead_seconds",
        ),
        ("  tiers:", "  ranking: {prune: 5}\n  tiers:", "ranking.prune: nothing of this name to override"),
        ("  tiers:", "  ranking: {options: 5}\n  tiers:", "ranking.options: should be a valid dictionary"),
        ("  tiers:", "  ranking: {pruned: 5000}\n  tiers:", "ranking.pruned: must not be above candidates"),
        ("    small: ", "    tiny: ", "tiers.tiny: nothing of this name to override"),
        ("    small: ", "    small: 5 #", "tiers.small: must be a mapping"),
        ("max_followers: 300", "max_follower: 300", "tiers.medium.max_follower: unknown key"),
        ("max_followers: 300", "max_followers: 50", "tiers.medium.max_followers: must be above 50"),
        ("auth: none", "auth: nobody", "api.auth: should be 'required' or 'none'"),
        ("auth: none", "authority: none", "api.authority: nothing of this name to override"),
        ("  routing:", "  police:", "police: unknown section, known are"),
        (
            "  name: small-graph",
            "  name: other",
            "metadata.name: one document named small-graph, like its file",
        ),
    ],
)
def test_a_problem_of_a_profile_is_told_at_its_line(folder: Path, old: str, new: str, problem: str) -> None:
    file = folder / "profiles" / "small-graph.yaml"
    line = change(file, old, new)

    assert refusal(folder, "small-graph").startswith(f"{file}:{line}: {problem}")
