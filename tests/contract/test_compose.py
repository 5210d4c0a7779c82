"""docker-compose.yml: valid, the same engines as `tideline up`, setting by setting, and who watches them.

`compose-spec.json` is the Compose Specification's own JSON schema, unchanged
(https://github.com/compose-spec/compose-spec, schema/compose-spec.json, Apache License 2.0).
"""

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pipeline.config import shipped
from pipeline.local import cassandra, kafka
from pipeline.ops.observability import slo_rules

TOP = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((TOP / "docker-compose.yml").read_text())
KAFKA, CASSANDRA = COMPOSE["services"]["kafka"], COMPOSE["services"]["cassandra"]
PROMETHEUS, GRAFANA = COMPOSE["services"]["prometheus"], COMPOSE["services"]["grafana"]
SCHEMA = json.loads((Path(__file__).parent / "compose-spec.json").read_text())

PLACES = {
    "process.roles",
    "node.id",
    "controller.quorum.voters",
    "listeners",
    "advertised.listeners",
    "log.dirs",
}
"""Kafka's settings that say where it is."""

OF_A_PLACE = r".*(address|_port|_directory|_directories|seed_provider)$"
"""Cassandra's settings that say where it is."""

OF_THE_IMAGE = {"partitioner", "start_native_transport"}
"""Cassandra's settings that the file of the image has with the same values: both are its defaults."""


def problems(compose: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(compose)]


def local_kafka() -> dict[str, str]:
    text = kafka.PROPERTIES.replace("{protocol}", "PLAINTEXT")
    lines = (line.partition("=") for line in text.splitlines() if line and line[0] != "#")
    return {key: value for key, _, value in lines}


def compose_kafka() -> dict[str, str]:
    """The environment as the image reads it."""
    settings = {key: value for key, value in KAFKA["environment"].items() if key != "KAFKA_HEAP_OPTS"}
    return {
        key.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for key, value in settings.items()
        if key.startswith("KAFKA_")
    }


def local_cassandra() -> dict[str, Any]:
    text = cassandra.YAML.format(host="h", port=1, storage_port=2, data="d")
    settings: dict[str, Any] = yaml.safe_load(text)
    return settings


def options() -> dict[str, str]:
    return dict(
        option.removeprefix("-D").partition("=")[::2]
        for option in CASSANDRA["environment"]["JVM_EXTRA_OPTS"].split()
    )


def compose_cassandra() -> dict[str, Any]:
    """What the image takes from the environment, and the system properties, typed as YAML types them."""
    prefix = "cassandra.settings."
    of_image = {
        name: CASSANDRA["environment"][f"CASSANDRA_{name.upper()}"]
        for name in ("cluster_name", "endpoint_snitch", "num_tokens")
    }
    return of_image | {
        key.removeprefix(prefix): yaml.safe_load(value)
        for key, value in options().items()
        if key.startswith(prefix)
    }


def test_it_is_a_compose_file() -> None:
    assert problems(COMPOSE) == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("services", "kafka", "image"), ["apache/kafka"]),
        (("services", "kafka", "port"), ["9092:9092"]),
        (("services", "kafka", "healthcheck", "interval"), 10),
        (("services", "cassandra", "environment", "MAX_HEAP_SIZE"), {"size": "1g"}),
        (("service",), {}),
    ],
)
def test_a_mistake_is_refused(where: tuple[str, ...], value: Any) -> None:
    spoiled = copy.deepcopy(COMPOSE)
    inner = spoiled
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value

    assert problems(spoiled)


def test_kafka_has_the_settings_of_the_local_engine() -> None:
    """Those that say where it is aside; a second listener for the host needs one more."""
    local, compose = local_kafka(), compose_kafka()

    assert {key: compose[key] for key in local.keys() - PLACES} == {
        key: local[key] for key in local.keys() - PLACES
    }
    assert compose.keys() - local.keys() == {"listener.security.protocol.map"}
    assert compose["process.roles"] == local["process.roles"]


def test_cassandra_has_the_settings_of_the_local_engine() -> None:
    local, compose = local_cassandra(), compose_cassandra()
    expected = {
        key: value
        for key, value in local.items()
        if not re.fullmatch(OF_A_PLACE, key) and key not in OF_THE_IMAGE | {"memtable"}
    }

    assert compose == expected


def test_cassandra_takes_its_settings_from_system_properties() -> None:
    """Off by default. Seen with 5.0.7: each of them in system_views.settings, memtables of the trie kind."""
    assert options()["cassandra.config.allow_system_properties"] == "true"


def test_memtables_are_those_of_the_local_engine() -> None:
    assert local_cassandra()["memtable"]["configurations"]["default"] == {"inherits": "trie"}
    change, start = CASSANDRA["command"][2].split(" && ")
    assert change == "sed -i 's/inherits: skiplist/inherits: trie/' /etc/cassandra/cassandra.yaml"
    assert start == "exec docker-entrypoint.sh cassandra -f"


def test_heaps_and_switches_are_those_of_the_local_engine() -> None:
    assert CASSANDRA["environment"]["MAX_HEAP_SIZE"] == cassandra.DEFAULT_HEAP
    assert KAFKA["environment"]["KAFKA_HEAP_OPTS"].split() == kafka.JVM[:2]
    switches = {
        option
        for option in cassandra.JVM
        if option.startswith("-Dcassandra.") and "bcrypt" not in option  # of drawn passwords alone
    }
    assert switches <= set(CASSANDRA["environment"]["JVM_EXTRA_OPTS"].split())


def test_images_are_of_the_versions_of_the_local_engines() -> None:
    assert KAFKA["image"] == f"apache/kafka:{kafka.COORDINATE.rpartition(':')[2]}"
    assert cassandra.COORDINATE.rpartition(":")[2].startswith(
        CASSANDRA["image"].removeprefix("cassandra:") + "."
    )


def test_both_are_reached_on_this_machine_alone_and_where_the_file_says() -> None:
    """The published ports, the address Kafka tells its clients, and the two variables in the comment."""
    head = (TOP / "docker-compose.yml").read_text().partition("\nname:")[0]

    assert KAFKA["ports"] == ["127.0.0.1:9092:9092"]
    assert CASSANDRA["ports"] == ["127.0.0.1:9042:9042"]
    assert "HOST://localhost:9092" in compose_kafka()["advertised.listeners"].split(",")
    assert "TIDELINE_KAFKA=localhost:9092 TIDELINE_CASSANDRA=localhost:9042" in head


def test_both_say_when_they_are_healthy() -> None:
    """The images say nothing of their own."""
    assert "kafka-broker-api-versions.sh" in KAFKA["healthcheck"]["test"][1]
    assert CASSANDRA["healthcheck"]["test"][:3] == ["CMD", "cqlsh", "-e"]


def test_topics_come_from_the_topology_folder_and_nowhere_else() -> None:
    """Nothing in the file makes a topic or a table, so that `tideline topology apply` does."""
    assert compose_kafka()["auto.create.topics.enable"] == "false"
    assert {name for name, service in COMPOSE["services"].items() if "profiles" not in service} == {
        "kafka",
        "cassandra",
    }
    assert shipped.folder("topology") == TOP / "topology"


def mounts(service: Any) -> dict[str, str]:
    """By the place in the container, what is there."""
    pairs = (
        (one["target"], one["source"])
        if isinstance(one, dict)
        else one.removesuffix(":ro").rsplit(":", 1)[::-1]
        for one in service["volumes"]
    )
    return dict(pairs)


def test_those_who_watch_come_when_they_are_asked_for_and_listen_on_this_machine_alone() -> None:
    """On the host's network, since workers listen on its loopback."""
    for service in (PROMETHEUS, GRAFANA):
        assert service["profiles"] == ["observability"]
        assert service["network_mode"] == "host"
    assert "--web.listen-address=127.0.0.1:9090" in PROMETHEUS["command"]
    assert GRAFANA["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"


def test_prometheus_finds_its_configuration_its_rules_and_the_workers() -> None:
    """Every path that the configuration names is mounted; of the home no more than where the workers are."""
    found = mounts(PROMETHEUS)
    config = yaml.safe_load((TOP / found["/etc/prometheus/prometheus.yml"]).read_text())

    assert config["rule_files"] == ["/etc/prometheus/rules/*.yml"]
    assert found["/etc/prometheus/rules"] == "${TIDELINE_OBSERVABILITY:-./topology/observability}/rules"
    (job,) = config["scrape_configs"]
    assert job["file_sd_configs"] == [{"files": ["/etc/prometheus/targets/targets.json"]}]
    assert found["/etc/prometheus/targets"] == "${TIDELINE_HOME:-${HOME}/.tideline}/metrics"


def test_prometheus_keeps_as_much_as_the_error_budget_looks_back() -> None:
    assert f"--storage.tsdb.retention.time={slo_rules.PERIOD_DAYS + 1}d" in PROMETHEUS["command"]


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    found = mounts(GRAFANA)
    provisioned = TOP / found["/etc/grafana/provisioning"]
    source = yaml.safe_load((provisioned / "datasources" / "tideline.yml").read_text())["datasources"][0]
    provider = yaml.safe_load((provisioned / "dashboards" / "tideline.yml").read_text())["providers"][0]

    assert source["url"] == "http://127.0.0.1:9090"
    dashboards = TOP / found[provider["options"]["path"]]
    first = GRAFANA["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert first.rpartition("/")[0] == provider["options"]["path"]
    assert (dashboards / first.rpartition("/")[2]).is_file()
