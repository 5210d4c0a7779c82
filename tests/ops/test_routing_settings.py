"""Thresholds changed while running: what is refused, and what is in force afterwards on a real Kafka."""

import json

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline import topology
from pipeline.errors import ConfigError
from pipeline.ops.routing_settings import SettingsInForce, changed
from pipeline.wire.records import RoutingSettings

FILES = topology.load(profile="small-graph").routing
"""push_below 1000, pull_above 5000."""


def test_the_files_are_in_force_until_something_is_set():
    now = SettingsInForce(FILES, None)

    assert (now.value("push_below"), now.overridden("push_below")) == (1000, False)
    assert now.document()["changed_at"] is None


def test_what_is_not_named_stays_as_it_was():
    before = SettingsInForce(FILES, RoutingSettings(700, 4000, 1))

    assert changed(before, {"pull_above": 900}, 2) == RoutingSettings(700, 900, 2)


def test_thresholds_may_meet():
    assert changed(SettingsInForce(FILES, None), {"push_below": 5000}, 2) == RoutingSettings(5000, 5000, 2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"push_below": 5001}, "push_below: must not be above pull_above, which is 5000"),
        ({"pull_above": 999}, "push_below: must not be above pull_above, which is 999"),
        ({"push_below": 0}, "push_below: must be at least 1 follower, not 0"),
        ({"push_under": 10}, "no setting push_under"),
    ],
)
def test_contradictions_and_typos_are_refused(changes, reason):
    with pytest.raises(ConfigError) as refused:
        changed(SettingsInForce(FILES, None), changes, 2)

    assert refused.value.message == reason


@pytest.fixture
def routing(engines, tideline):
    """`routing(…)`: the command on the topic of the shared broker; exit code, data and talk."""
    admin = AdminClient({"bootstrap.servers": engines.kafka})
    topic = NewTopic("routing.settings", 1, 1, config={"cleanup.policy": "compact"})
    admin.create_topics([topic])["routing.settings"].exception(30)  # somebody may have been faster

    def run(*words):
        command = tideline("routing", *words, "--profile", "small-graph")
        out, err = command.communicate()
        return command.returncode, out, err

    yield run
    producer = Producer({"bootstrap.servers": engines.kafka})
    producer.produce(
        "routing.settings", value=None, key=b"routing"
    )  # the files are in force for those after us
    assert producer.flush(30) == 0


def test_what_was_set_is_in_force_and_shown(routing):
    code, _, _ = routing("set", "push_below=2000", "pull_above=4000")
    _, out, _ = routing("get", "--json")

    now = json.loads(out)
    assert code == 0
    assert now["push_below"] == {"value": 2000, "files": 1000, "overridden": True}
    assert now["pull_above"] == {"value": 4000, "files": 5000, "overridden": True}
    assert now["changed_at"] > 1_700_000_000_000


def test_a_refused_change_changes_nothing(routing):
    routing("set", "push_below=1000", "pull_above=5000")
    code, _, err = routing("set", "push_below=9000")
    _, out, _ = routing("get", "--json")

    assert (code, "must not be above pull_above" in err) == (1, True)
    assert json.loads(out)["push_below"]["value"] == 1000


def test_what_is_no_number_is_wrong_usage(routing):
    code, _, err = routing("set", "push_below=many")

    assert (code, "push_below=N" in err) == (2, True)
