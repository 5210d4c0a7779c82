"""A file in `topology/domains/` is a whole path beside the home feed, under names of its own."""

import shutil
from pathlib import Path

import pytest

from pipeline import topology
from pipeline.config import names, shipped
from pipeline.config.names import HOME, Names
from pipeline.control.lag import consumers
from pipeline.errors import ConfigError
from pipeline.kafka.registry import subjects
from pipeline.path import RECORDS

CHANNEL = """apiVersion: tideline/v1
kind: Domain
metadata:
  name: channel
spec:
  shares: [posts]
  routing: {window_days: 7}
  stages: {api: {workers: 2}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped folder to change."""
    return Path(shutil.copytree(shipped.folder("topology"), tmp_path / "topology"))


def put(folder: Path, text: str, name: str = "channel") -> Path:
    file = folder / "domains" / f"{name}.yaml"
    file.write_text(text)
    return file


def refusal(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        topology.load(folder)
    return caught.value.message


@pytest.mark.parametrize("profile", ["default", "small-graph"])
def test_the_shipped_domain_pushes_everything_and_has_a_cap(profile: str) -> None:
    home = topology.load(profile=profile)
    inbox = home.of("notifications").routing

    assert min(inbox.push_below, inbox.pull_above, inbox.cost_floor) == 1_000_000_000
    assert (home.routing.cap, inbox.cap) == (None, 100)
    assert inbox.margin_ms == home.routing.margin_ms


def test_the_home_feed_is_called_what_the_code_calls_it() -> None:
    home = topology.load()

    assert home.of("") is home
    assert {name: spec.name for name, spec in home.topics.items()} == {name: name for name in home.topics}
    assert home.stages["graph"].group == "tideline.graph"
    assert home.names == HOME
    assert (HOME.stage("graph"), HOME.keyspace("tideline")) == ("graph", "tideline")


def test_a_domain_has_everything_of_its_own_but_what_it_shares() -> None:
    home = topology.load()
    inbox = home.of("notifications")

    assert list(inbox.topics) == list(home.topics)
    assert {name for name, spec in inbox.topics.items() if spec.name == name} == {
        *("accounts", "moderation", "policy")
    }
    assert inbox.topics["author.routes"].name == "notifications.author.routes"
    groups = [spec.group for spec in (*inbox.stages.values(), *inbox.tiers.values()) if spec.group]
    assert len(groups) == len([spec for spec in (*home.stages.values(), *home.tiers.values()) if spec.group])
    assert all(group.startswith("notifications.tideline.") for group in groups)
    assert inbox.names.keyspace("tideline") == "tideline_notifications"
    assert inbox.names.stage("fanout.small") == "notifications/fanout.small"
    assert names.split("notifications/fanout.small") == ("notifications", "fanout.small")
    assert names.split("fanout.small") == ("", "fanout.small")


def test_who_reads_what_is_told_in_the_words_of_kafka() -> None:
    found = {one.stage: one for one in consumers(topology.load().of("notifications"), api=True)}

    assert found["moderation"].topics == ("moderation", "policy")
    assert found["moderation"].group == "notifications.tideline.moderation"
    assert found["fanout.small"].places[0] == ("notifications.fanout.small", 0)
    followed = ("author.routes", "author.suspensions", "page.changes")
    assert found["api"].topics == tuple(f"notifications.{topic}" for topic in followed)


def test_subjects_of_the_registry_are_those_of_the_domains_topics() -> None:
    found = subjects(topology.load().of("notifications").names)

    assert found["notifications.posts-value"] is RECORDS["posts"]
    assert found["moderation-value"] is RECORDS["moderation"]
    assert len(found) == len(subjects())


def test_a_file_is_all_a_domain_takes(folder: Path) -> None:
    put(folder, CHANNEL)

    home = topology.load(folder)

    assert list(home.domains) == ["channel", "notifications"]
    channel = home.of("channel")
    assert (channel.routing.window_days, channel.stages["api"].workers) == (7, 2)
    assert (channel.topics["posts"].name, channel.topics["moderation"].name) == (
        "posts",
        "channel.moderation",
    )
    assert (home.routing.window_days, home.stages["api"].workers) == (30, 1)
    assert home.of("notifications").routing.window_days == 30
    assert "default_time_to_live = 604800" in channel.tables("tideline_channel", 1)


def test_a_domain_is_laid_over_the_profile(folder: Path) -> None:
    put(folder, CHANNEL.replace("routing: {window_days: 7}", "routing: {push_below: 5}"))

    channel = topology.load(folder, "small-graph").of("channel").routing

    assert (channel.push_below, channel.pull_above, channel.margin_ms) == (5, 5000, 2000)


def test_a_domain_ranks_and_answers_in_its_own_way(folder: Path) -> None:
    put(
        folder,
        CHANNEL.replace("routing: {window_days: 7}", "ranking: {pruned: 150}\n  api: {deadline_ms: 900}"),
    )

    home = topology.load(folder)

    channel = home.of("channel")
    assert (channel.ranking.pruned, channel.api.deadline_ms) == (150, 900)
    assert (home.ranking.pruned, home.api.deadline_ms) == (300, 200)


def test_a_folder_without_domains_has_the_home_feed_alone(folder: Path) -> None:
    shutil.rmtree(folder / "domains")

    home = topology.load(folder)

    assert home.domains == {}
    with pytest.raises(ConfigError, match="no domain notifications") as caught:
        home.of("notifications")
    assert caught.value.hint == "domains: none"


@pytest.mark.parametrize(
    "topic", sorted({*RECORDS, "nonsense"} - {"accounts", "posts", "moderation", "policy"})
)
def test_only_what_users_alone_write_may_be_shared(folder: Path, topic: str) -> None:
    file = put(folder, CHANNEL.replace("[posts]", f"[posts, {topic}]"))

    assert refusal(folder) == (
        f"{file}:6: shares.1: must be one of accounts, posts, moderation: {topic} is of one feed"
    )


def test_what_was_called_otherwise_is_shared_under_both_names(folder: Path) -> None:
    """Or a block that a service sends to the old topic would count in one feed alone."""
    shared = put(folder, CHANNEL.replace("[posts]", "[moderation]"))
    channel = topology.load(folder).of("channel")
    assert {name for name, spec in channel.topics.items() if spec.name == name} == {"moderation", "policy"}

    put(folder, CHANNEL.replace("[posts]", "[moderation]").replace("stages: {api:", "topics: {policy:"))
    assert "topics.policy: is shared, so it is as the home feed has it" in refusal(folder)

    put(folder, CHANNEL.replace("[posts]", "[policy]"))
    assert refusal(folder) == f"{shared}:6: shares.0: policy is moderation now, which shares both"


@pytest.mark.parametrize("topic", ["accounts", "posts", "moderation"])
def test_what_users_alone_write_may_be_shared(folder: Path, topic: str) -> None:
    put(folder, CHANNEL.replace("[posts]", f"[{topic}]"))

    assert topology.load(folder).of("channel").topics[topic].name == topic


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("kind: Domain", "kind: Profile", "kind: must be Domain"),
        ("name: channel", "name: other", "metadata.name: one document named channel, like its file"),
        ("shares: [posts]", "shares: [5]", "shares.0: should be a valid string"),
        ("shares: [posts]", "shares: posts", "shares: should be a valid tuple"),
        ("shares: [posts]", "share: [posts]", "share: unknown section, known are stages, tiers, acls"),
        ("{window_days: 7}", "{window: 7}", "routing.window: nothing of this name to override"),
        ("{window_days: 7}", "{window_days: 0}", "routing.window_days: should be greater than or equal to 1"),
        ("{window_days: 7}", "{cap: 0}", "routing.cap: should be greater than or equal to 1"),
        (
            "{window_days: 7}",
            "{pull_above: 5}",
            "routing.push_below: must not be above pull_above, which is 5",
        ),
        ("routing: {window_days: 7}", "topics: 5", "topics: must be a mapping"),
        ("stages: {api:", "stages: {apis:", "stages.apis: nothing of this name to override"),
        ("stages: {api:", "topics: {posts:", "topics.posts: is shared, so it is as the home feed has it"),
    ],
)
def test_a_problem_of_a_domain_is_told(folder: Path, old: str, new: str, problem: str) -> None:
    assert old in CHANNEL
    file = put(folder, CHANNEL.replace(old, new))

    told = refusal(folder)

    elsewhere = "push_below" in problem  # at the line of the value that is too large now
    assert told.startswith(f"{folder / 'routing.yaml'}:" if elsewhere else f"{file}:")
    assert f": {problem}" in told
    assert not elsewhere or told.endswith("(domain channel)")


@pytest.mark.parametrize("name", ["Channel", "a-b", "a.b", "a/b", "1st", "seventeen_letters"])
def test_a_name_that_no_keyspace_can_have_is_refused(folder: Path, name: str) -> None:
    text = CHANNEL.replace("name: channel", f"name: {name}")
    file = put(folder, text, name) if "/" not in name else put(folder, text)

    assert refusal(folder).startswith(f"{file}:")


@pytest.mark.parametrize("what", ["topic", "group"])
def test_a_domain_is_called_like_nothing_of_the_home_feed(folder: Path, what: str) -> None:
    put(folder, CHANNEL)
    file = folder / ("topics.yaml" if what == "topic" else "stages.yaml")
    taken = "channel.moderation" if what == "topic" else "channel.tideline.graph"
    text = file.read_text()
    if what == "topic":
        extra = "---\napiVersion: tideline/v1\nkind: Topic\nmetadata: {name: channel.moderation}\n"
        file.write_text(text + extra + "spec: {partitions: 1, replicas: 1}\n")
    else:
        file.write_text(text.replace("tideline.readers", taken))

    assert f"{taken} is of the home feed already" in refusal(folder)


def test_a_keyspace_longer_than_cassandra_takes_is_refused() -> None:
    inbox = Names("notifications")

    assert len(inbox.keyspace("k" * 34)) == 48
    with pytest.raises(ConfigError, match="49 characters"):
        inbox.keyspace("k" * 35)
