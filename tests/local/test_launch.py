"""What `tideline run` starts, without starting it."""

import socket
from dataclasses import replace

import pytest

from pipeline import topology
from pipeline.config.settings import Settings
from pipeline.errors import ConfigError, TidelineError
from pipeline.local import process
from pipeline.local.instance import Instance, NoInstanceError, beside_api
from pipeline.local.launch import jobs_of, ports_of, run, workers_by_stage
from pipeline.local.process import Child
from pipeline.local.secure import make_user
from pipeline.local.worker import State, WorkerStatus


def test_every_stage_has_its_workers_in_path_order():
    assert workers_by_stage(topology.load()) == {
        "graph": 1,
        "readers": 1,
        "counters": 1,
        "moderation": 1,
        "classify": 1,
        "fanout.small": 1,
        "fanout.medium": 1,
        "fanout.large": 1,
        "backfill": 1,
        "retract": 1,
        "query": 1,
        "api": 1,
        "auditor": 1,
        "controller": 1,
    }


def test_a_taken_port_is_refused_before_anything_starts(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(TidelineError, match=f"port {port} is taken"):
            run(Settings(home=tmp_path, port=port), say=pytest.fail, ready=pytest.fail)

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["lock", "run"]


HOME = topology.load()
INBOX = HOME.of("notifications")
BOTH = Instance(
    Child(1, 0.0), "http://h:1", "default", "k:1", "c:1", "tideline", "",
    domains={"notifications": "http://h:2"},
)  # fmt: skip


def test_an_unknown_domain_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(ConfigError, match="no domain inbox"):
        run(Settings(home=tmp_path), ["inbox"], say=pytest.fail, ready=pytest.fail)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("any_port", [True, False])
def test_each_api_gets_ports_of_its_own(tmp_path, any_port):
    """The home feed's first, and behind all of them the next free one."""
    spec = HOME.stages["api"].model_copy(update={"workers": 3})
    home = replace(HOME, stages={**HOME.stages, "api": spec})

    wanted = 0 if any_port else process.free_ports([], 1, 23_480, set())[0]
    ports = ports_of(wanted, tmp_path, [home, INBOX])

    assert list(ports) == ["", "notifications"]
    assert ports["notifications"] >= ports[""] + 3
    assert not wanted or ports[""] == wanted


def apis_of(topology, processes):
    spec = topology.stages["api"].model_copy(update={"workers": processes})
    return replace(topology, stages={**topology.stages, "api": spec})


@pytest.fixture
def taken(monkeypatch):
    """The ports of this machine that are taken, and no others."""
    ports = set()
    monkeypatch.setattr(process, "is_free", lambda port: port not in ports)
    return ports


@pytest.mark.parametrize("wanted", [1024, 19_999, 20_000, 31_999, 32_000, 32_768, 45_000, 65_535])
def test_a_port_that_was_asked_for_is_the_one(tmp_path, taken, wanted):
    """Wherever it lies; the domains get the next free ones."""
    ports = ports_of(wanted, tmp_path, [HOME, INBOX])

    assert ports[""] == wanted
    assert ports["notifications"] == (20_000 if wanted == 65_535 else wanted + 1)


def test_a_port_that_is_taken_is_refused_and_not_replaced(tmp_path, taken):
    taken.add(45_000)

    with pytest.raises(TidelineError, match="port 45000 is taken"):
        ports_of(45_000, tmp_path, [HOME])


def test_each_process_of_the_api_needs_its_port(tmp_path, taken):
    """All of them follow the first one."""
    taken.add(45_002)

    with pytest.raises(TidelineError, match="ports 45000 to 45002"):
        ports_of(45_000, tmp_path, [apis_of(HOME, 3)])
    with pytest.raises(TidelineError, match="ports 65534 to 65536"):
        ports_of(65_534, tmp_path, [apis_of(HOME, 3)])
    assert ports_of(45_000, tmp_path, [apis_of(HOME, 2), apis_of(INBOX, 2)]) == {
        "": 45_000,
        "notifications": 45_003,
    }


def test_the_workers_of_a_domain_are_told_whose_they_are(tmp_path):
    jobs = jobs_of(BOTH, INBOX, Settings(home=tmp_path), {"": 8000, "notifications": 9000})

    assert [job.stage for job in jobs] == [f"notifications/{stage}" for stage in workers_by_stage(INBOX)]
    assert all(job.command[-2:] == ["worker", job.stage] for job in jobs)
    api = next(job for job in jobs if job.stage == "notifications/api")
    assert (api.environment["TIDELINE_PORT"], api.environment["TIDELINE_API"]) == ("9000", "http://h:2")
    assert api.environment["TIDELINE_KEYSPACE"] == "tideline"  # of the home feed: each worker adds its domain


def test_the_home_feed_is_started_as_ever(tmp_path):
    jobs = jobs_of(BOTH, HOME, Settings(home=tmp_path), {"": 8000, "notifications": 9000})

    assert [job.stage for job in jobs] == list(workers_by_stage(HOME))
    assert {job.environment["TIDELINE_API"] for job in jobs} == {"http://h:1"}


def test_an_instance_knows_where_each_domain_answers():
    assert (BOTH.api_of(""), BOTH.api_of("notifications")) == ("http://h:1", "http://h:2")
    with pytest.raises(NoInstanceError, match="domain channel does not run") as caught:
        BOTH.api_of("channel")
    assert caught.value.hint == "tideline run --domain channel"


def test_the_workers_of_a_secured_home_log_in_as_their_own_user(tmp_path):
    (tmp_path / "secure").mkdir()
    make_user(tmp_path, "admin")
    ports = {"": 8000, "notifications": 9000}

    own = jobs_of(BOTH, HOME, Settings(home=tmp_path, kafka="", cassandra=""), ports)
    given = jobs_of(BOTH, HOME, Settings(home=tmp_path, kafka="k:9092", cassandra=""), ports)

    found = {
        (job.environment["TIDELINE_KAFKA_CONFIG"], job.environment["TIDELINE_CASSANDRA_CONFIG"])
        for job in own
    }
    assert found == {(f"{tmp_path}/secure/workers.properties", f"{tmp_path}/secure/workers.cqlshrc")}
    assert not any("TIDELINE_KAFKA_CONFIG" in job.environment for job in given)


def test_what_is_made_for_a_user_stays(tmp_path):
    (tmp_path / "secure").mkdir()
    make_user(tmp_path, "upstream")
    before = (tmp_path / "secure" / "upstream.properties").read_text()
    make_user(tmp_path, "upstream")
    make_user(tmp_path, "gateway")

    assert (tmp_path / "secure" / "upstream.properties").read_text() == before
    assert (tmp_path / "secure" / "gateway.properties").read_text() != before


@pytest.mark.parametrize(
    ("domain", "address"),
    [("", "http://127.0.0.1:7"), ("notifications", "http://127.0.0.1:9"), ("inbox", "")],
)
def test_readiness_is_asked_beside_the_api(domain, address):
    """Where the first process that is ready has its metrics; each start may have another port."""
    workers = [
        WorkerStatus("api", 0, State.STARTING, 1, None, 0),
        WorkerStatus("api", 1, State.READY, 2, 7, 0),
        WorkerStatus("api", 2, State.READY, 3, 8, 0),
        WorkerStatus("notifications/api", 0, State.READY, 4, 9, 0),
        WorkerStatus("query", 0, State.READY, 5, 10, 0),
    ]

    assert replace(BOTH, workers=tuple(workers)).beside_api_of(domain) == address


def test_without_an_instance_nobody_is_asked(tmp_path):
    assert beside_api(tmp_path, "") == ""
