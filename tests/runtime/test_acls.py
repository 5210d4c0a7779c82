"""Permissions: what the files say, as KIP-11 has it, and what makes a cluster like them."""

import pytest

from pipeline import topology
from pipeline.errors import ConfigError
from pipeline.kafka.acls import Acl
from pipeline.path import RECORDS
from pipeline.runtime import acls

INPUTS = {"accounts", "follows", "posts", "activity", "moderation", "policy"}


@pytest.fixture(scope="module")
def shipped():
    return topology.load()


def may(spec, role, operation):
    """The topics of the home feed for which a role has an operation, read without the code's own reading."""
    found = set()
    for pattern in spec.acls[role].topics.get(operation, ()):
        found |= {
            topic
            for topic in spec.topics
            if topic == pattern or (pattern.endswith("*") and topic.startswith(pattern[:-1]))
        }
    return found


def test_services_upstream_write_input_topics_and_read_nothing(shipped):
    assert may(shipped, "upstream", "Write") == INPUTS
    assert set(shipped.acls["upstream"].topics) == {"Write"}
    assert not shipped.acls["upstream"].groups


def test_services_downstream_write_nothing(shipped):
    assert set(shipped.acls["downstream"].topics) == {"Read"}
    assert may(shipped, "downstream", "Read") == {
        "posts.classified",
        "pipeline.health",
        "containment.journal",
    }


def test_only_who_acts_for_readers_asks_for_pages_and_reads_the_answers_to_its_own(shipped):
    asks = {role for role in shipped.acls if "timeline.requests" in may(shipped, role, "Write")}

    assert asks == {"gateway", "operators"}
    assert shipped.acls["gateway"].topics["Read"] == ("timeline.replies.gateway*",)
    assert not any("timeline.replies" in may(shipped, role, "Read") for role in shipped.acls)


@pytest.mark.parametrize("topic", ["routing.settings", "dead.letters.done"])
def test_operators_alone_write_what_steers_the_pipeline(shipped, topic):
    assert {role for role in shipped.acls if topic in may(shipped, role, "Write")} == {"operators"}


@pytest.mark.parametrize(
    "topic", ["routing.forced", "author.routes", "edge.marks", "reader.marks", "containment", "page.changes"]
)
def test_no_service_writes_what_the_pipeline_tells_itself(shipped, topic):
    assert {role for role in shipped.acls if topic in may(shipped, role, "Write")} <= {"workers", "operators"}


def test_the_workers_may_read_and_write_what_the_code_speaks_on(shipped):
    reads = {topic for spec in shipped.stages.values() for topic in spec.topics}
    written_elsewhere = INPUTS | {"timeline.requests"}
    written_elsewhere |= {"routing.settings", "dead.letters.done"}

    assert may(shipped, "workers", "Read") >= reads | {spec.topic for spec in shipped.tiers.values()}
    assert may(shipped, "workers", "Write") >= set(RECORDS) - written_elsewhere
    assert not may(shipped, "workers", "Write") & written_elsewhere


def test_a_name_with_an_asterisk_is_a_prefix_and_a_domain_has_its_own_in_front(shipped):
    found = acls.wanted(shipped)

    assert Acl("User:upstream", "topic", "posts", False, "Write") in found
    assert Acl("User:workers", "topic", "fanout.", True, "Read") in found
    assert Acl("User:operator", "topic", "*", False, "DescribeConfigs") in found
    assert Acl("User:operator", "cluster", "kafka-cluster", False, "AlterConfigs") in found
    assert Acl("User:upstream", "topic", "notifications.posts", False, "Write") in found
    assert Acl("User:upstream", "topic", "notifications.accounts", False, "Write") not in found  # shared
    assert Acl("User:workers", "group", "notifications.tideline.", True, "Read") in found


class Broker:
    """Permissions in memory."""

    def __init__(self, *held):
        self.held = set(held)

    def of(self, principals):
        return {acl for acl in self.held if acl.principal in principals}

    def add(self, added):
        self.held |= set(added)

    def remove(self, removed):
        self.held -= set(removed)


def test_what_is_missing_is_added_and_what_is_beyond_the_file_is_taken_away_from_its_principals_alone(
    shipped,
):
    beyond = Acl("User:upstream", "topic", "containment", False, "Write")
    stranger = Acl("User:somebody", "topic", "containment", False, "Write")
    broker = Broker(beyond, stranger)

    plan = acls.apply(shipped, broker)

    assert plan.remove == (beyond,)
    assert broker.held == acls.wanted(shipped) | {stranger}
    assert not acls.compare(shipped, broker)


def test_a_plan_is_told_in_lines_for_kafka_acls():
    plan = acls.AclPlan(
        (Acl("User:a", "topic", "fanout.", True, "DescribeConfigs"),),
        (Acl("User:a", "cluster", "kafka-cluster", False, "Alter"),),
    )

    assert plan.lines() == [
        "kafka-acls --add --allow-principal 'User:a' --operation DescribeConfigs --topic 'fanout.'"
        " --resource-pattern-type prefixed",
        "kafka-acls --remove --force --allow-principal 'User:a' --operation Alter --cluster",
    ]


@pytest.mark.parametrize(
    ("principals", "valid"),
    [('["User:a"]', True), ('["a"]', False), ('["User:*"]', False), ('["User:a\' --deny"]', False)],
)
def test_a_principal_is_a_kind_and_a_name(tmp_path, shipped, principals, valid):
    import shutil

    folder = shutil.copytree(shipped.folder, tmp_path / "topology")
    file = folder / "acls.yaml"
    file.write_text(file.read_text().replace('["User:upstream"]', principals))

    if valid:
        assert topology.load(folder).acls["upstream"].principals == ("User:a",)
    else:
        with pytest.raises(ConfigError, match=r"acls\.yaml:\d+: acls\.upstream\.principals\.0: "):
            topology.load(folder)
