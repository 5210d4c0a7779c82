"""`tideline offsets` on a real Kafka, in a domain of its own: what it prints, what it refuses, what it moves."""

import json
import shutil
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.config import shipped
from pipeline.kafka import groups
from pipeline.kafka.offsets import Offsets
from pipeline.wire.codec import encode
from pipeline.wire.records import AuthorClass, CostSample, FanoutTask
from tests.waiting import eventually

T0 = 1_790_000_000_000
MINUTE = 60_000


class Feed:
    """A domain whose tier `large` has 10 tasks of 100 deliveries in each of its partitions 0 and 1, one a
    minute from T0 on; the group has processed 6 of each.
    """

    def __init__(self, kafka, folder, tideline):
        self.name, self.kafka, self.folder, self.tideline = f"o{uuid4().hex[:8]}", kafka, folder, tideline
        domain = f"apiVersion: tideline/v1\nkind: Domain\nmetadata:\n  name: {self.name}\nspec: {{}}\n"
        (folder / "domains" / f"{self.name}.yaml").write_text(domain)
        self.topic, self.group = f"{self.name}.fanout.large", f"{self.name}.tideline.fanout.large"
        admin = AdminClient({"bootstrap.servers": kafka})
        forever = {"retention.ms": "-1"}  # T0 is long ago
        wanted = [NewTopic(self.topic, 8, 1, config=forever), NewTopic(f"{self.name}.costs", 1, 1)]
        for made in admin.create_topics(wanted).values():
            made.result(30)
        producer = Producer({"bootstrap.servers": kafka})
        task = encode(FanoutTask(1, 2, AuthorClass.PUSH, 0, 0, 0, 100))
        for number in range(20):
            producer.produce(self.topic, task, b"2", number % 2, timestamp=T0 + number // 2 * MINUTE)
        cost = CostSample("row_seconds@fanout.large", 0.001, T0)
        producer.produce(f"{self.name}.costs", encode(cost), cost.name.encode())
        assert producer.flush(30) == 0
        groups.move(kafka, self.group, {(self.topic, number): 6 for number in range(2)})

    def offsets(self, verb, *options, **more):
        """The command with --json; returns its exit code, what it printed, and its talk."""
        process = self.tideline(
            "offsets",
            verb,
            f"{self.name}/fanout.large",
            "--json",
            *options,
            TIDELINE_TOPOLOGY=str(self.folder),
            **more,
        )
        out, err = process.communicate()
        return process.returncode, json.loads(out) if out else None, err

    def committed(self):
        places = [(self.topic, number) for number in range(2)]
        with Offsets(self.kafka) as offsets:
            return [offsets.committed({self.group: places})[self.group, place] for place in places]


@pytest.fixture
def feed(engines, tmp_path, tideline):
    return Feed(engines.kafka, shutil.copytree(shipped.folder("topology"), tmp_path / "topology"), tideline)


def test_show_says_where_the_group_is(feed):
    code, said, _ = feed.offsets("show", "--topic", "fanout.large:0,3")

    assert (code, said["group"], said["active"]) == (0, feed.group, False)
    assert [(p["partition"], p["begin"], p["committed"], p["end"], p["lag"]) for p in said["partitions"]] == [
        (0, 0, 6, 10, 4),
        (3, 0, None, 0, 0),
    ]


def test_back_is_a_dry_run_that_weighs_the_move_and_then_moves(feed):
    code, said, err = feed.offsets("reset", "--shift-by", "-2")

    assert (code, said["executed"], feed.committed()) == (0, False, [6, 6])
    assert "dry run" in err
    assert (said["records_again"], said["records_skipped"], said["records_waiting"]) == (4, 0, 12)
    assert said["deliveries"] == {"deliveries": 400, "estimated": False}
    assert said["expected_writes"] == {"deliveries": 1200, "estimated": False}
    assert said["drain_seconds"] == pytest.approx([0.3, 1.2])

    code, said, _ = feed.offsets("reset", "--shift-by", "-2", "--execute")

    assert (code, said["executed"], feed.committed()) == (0, True, [4, 4])


@pytest.mark.parametrize(
    ("options", "to"),
    [
        (["--to-earliest"], [0, 0]),
        (["--to-offset", "3"], [3, 3]),
        (["--to-datetime", "2026-09-21T14:15:20"], [2, 2]),  # two minutes after T0
        (["--by-duration", "PT0S", "--skip-records"], [10, 10]),
        (["--to-latest", "--skip-records"], [10, 10]),
        (["--to-earliest", "--topic", "fanout.large:1"], [6, 0]),
        (["--shift-by", "100", "--skip-records"], [10, 10]),
    ],
)
def test_each_option_moves_the_group_to_its_place(feed, options, to):
    code, _, err = feed.offsets("reset", *options, "--execute")

    assert (code, feed.committed()) == (0, to), err


def test_forward_needs_to_be_asked_for_by_name(feed):
    code, said, err = feed.offsets("reset", "--to-latest", "--execute")

    assert (code, said["executed"], said["records_skipped"]) == (1, False, 8)
    assert "8 tasks (800 deliveries) would never be processed: readers would lack" in err
    assert "--skip-records" in err
    assert feed.committed() == [6, 6]


@pytest.mark.parametrize("options", [[], ["--execute"]])
def test_an_active_group_is_refused_with_exit_code_1_and_what_to_do(feed, options):
    """The plan is printed all the same; the broker itself would refuse too."""
    member = Consumer({"bootstrap.servers": feed.kafka, "group.id": feed.group, "enable.auto.commit": False})
    try:
        member.subscribe([feed.topic])
        eventually(lambda: member.poll(0.1) is None and member.assignment(), 30)

        code, said, err = feed.offsets("reset", "--to-earliest", *options)

        assert (code, said["executed"], said["records_again"]) == (1, False, 12)
        assert f"{feed.group} is active" in err
        assert f"tideline stage stop {feed.name}/fanout.large" in err
        assert feed.offsets("show")[1]["active"] is True
        with pytest.raises(Exception, match="group"):
            groups.move(feed.kafka, feed.group, {(feed.topic, 0): 0})
        assert feed.committed() == [6, 6]
    finally:
        member.close()


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--to-earliest", "--to-latest"],
        ["--shift-by", "1", "--to-offset", "1"],
        ["--to-datetime", "yesterday"],
        ["--by-duration", "soon"],
        ["--to-earliest", "--domain", "other"],
    ],
)
def test_wrong_usage_is_exit_code_2(feed, options):
    assert feed.offsets("reset", *options)[0] == 2


def test_without_json_it_is_a_table_and_a_sentence(feed):
    process = feed.tideline(
        "offsets",
        "reset",
        "fanout.large",
        "--domain",
        feed.name,
        "--to-offset",
        "7",
        TIDELINE_TOPOLOGY=str(feed.folder),
    )

    out, err = process.communicate()

    assert [line.split() for line in out.splitlines()[:2]] == [
        ["topic", "current", "new", "records", "deliveries"],
        [feed.topic, "0", "6", "7", "1", "forward", "100"],
    ]
    assert (
        "0 records processed again; 2 never; 6 waiting then; 600 rows to write at most, drain time 0-1 s"
        in err
    )
