"""The safe loop on a real broker: killed in mid-batch it loses nothing, and garbage does not stop it.

The stage is a process of its own (`safe_loop_stage`): batches of five events, three batches in flight, a commit
every 0.2 s. A test holds it in the middle of a batch, ends it there, and starts another one in the same group.
"""

import random
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.wire.codec import encode
from pipeline.wire.records import ActivityEvent
from tests.kafka.strangers import Transaction, batch, bomb, produce
from tests.waiting import eventually

REPOSITORY = Path(__file__).parents[2]
STAGE = "tests.engines.safe_loop_stage"
EVENTS, HELD = 60, 23

START_S = 60
"""Until a stage has its partitions: those of a killed one are free after the session time-out of 10 s."""


class Stage:
    """A topic of its own, with two partitions, and the processes that work on it one after the other."""

    def __init__(self, kafka, folder):
        self.kafka, self.folder, self.process = kafka, folder, None
        self.topic = f"safe-loop-{random.getrandbits(48):x}"
        self.producer = Producer(
            {"bootstrap.servers": kafka, "compression.type": "lz4", "message.max.bytes": 10**7}
        )
        self.create(self.topic, 2, {"max.message.bytes": "8000000"})
        self.create("dead.letters", 4, {})

    def create(self, topic, partitions, config):
        """Make a topic, unless it is there."""
        admin = AdminClient({"bootstrap.servers": self.kafka})
        try:
            admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(30)
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise

    def publish(self, values):
        """Send values in order, over both partitions."""
        for n, value in enumerate(values):
            self.producer.produce(self.topic, value, b"%d" % n, partition=n % 2)
        assert self.producer.flush(30) == 0

    def start(self):
        """Start a process."""
        command = [
            sys.executable,
            "-m",
            STAGE,
            self.kafka,
            self.topic,
            f"group-{self.topic}",
            str(self.folder),
        ]
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=output, stderr=output)

    def end(self, number):
        """Send a signal and wait for the end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def commit(self):
        """Have everything committed that the process has acknowledged."""
        (self.folder / "commit").touch()
        self.until(lambda: not (self.folder / "commit").exists())

    def lines(self, word):
        """The readers that a process has `began` or `done`, in order."""
        log = self.folder / "log"
        said = log.read_text().split() if log.exists() else []
        return [int(reader) for kind, reader in zip(said[::2], said[1::2], strict=False) if kind == word]

    def until(self, condition, timeout=START_S):
        """Wait for a condition; a process that has ended by itself fails the test with what it said."""

        def look():
            if self.process.poll() is not None:
                pytest.fail((self.folder / "output").read_text()[-4000:])
            return condition()

        return eventually(look, timeout)

    def dead_letters(self, count):
        """So many dead letters of this topic, as `(value, headers)`, in the order of their offsets."""
        consumer = Consumer(
            {"bootstrap.servers": self.kafka, "group.id": self.topic, "enable.auto.commit": False}
        )
        partitions = consumer.list_topics("dead.letters", 30).topics["dead.letters"].partitions
        consumer.assign([TopicPartition("dead.letters", one, 0) for one in partitions])
        found = []

        def look():
            for message in consumer.consume(100, 0.2):
                headers = dict(message.headers() or ())
                if headers.get("__streams.errors.topic") == self.topic.encode():
                    found.append((message.value(), headers))
            return len(found) >= count

        try:
            self.until(look)
        finally:
            consumer.close()
        return sorted(found, key=lambda one: int(one[1]["__streams.errors.offset"]))


@pytest.fixture
def stage(engines, tmp_path):
    """A stage, gone at the end."""
    stage = Stage(engines.kafka, tmp_path)
    yield stage
    if stage.process is not None and stage.process.poll() is None:
        (tmp_path / "hold").unlink(missing_ok=True)
        stage.end(signal.SIGKILL)


def opened(readers):
    """An event of each of these readers."""
    return [encode(ActivityEvent("opened", reader, 1_700_000_000_000)) for reader in readers]


def test_sigkill_in_mid_batch_loses_nothing(stage):
    """
    ::

        batch   …, 19-23 held, …      those after it may be done, and are not acknowledged
        SIGKILL ▲
        next process                  begins again at the held batch at the latest
    """
    stage.publish(opened(range(1, EVENTS + 1)))
    (stage.folder / "hold").write_text(str(HELD))
    stage.start()
    stage.until(lambda: HELD in stage.lines("began"))
    stage.commit()
    assert HELD not in stage.lines("done")
    assert stage.end(signal.SIGKILL) == -signal.SIGKILL

    (stage.folder / "hold").unlink()
    stage.start()

    stage.until(lambda: set(stage.lines("done")) == set(range(1, EVENTS + 1)))
    assert stage.end(signal.SIGTERM) == 0


def test_sigterm_in_mid_batch_finishes_it_and_loses_nothing(stage):
    """What is in flight is done and acknowledged before the process ends by itself; the next one has the rest."""
    stage.publish(opened(range(1, EVENTS + 1)))
    (stage.folder / "hold").write_text(str(HELD))
    stage.start()
    stage.until(lambda: HELD in stage.lines("began"))
    stage.process.send_signal(signal.SIGTERM)
    (stage.folder / "hold").unlink()
    assert stage.process.wait(60) == 0
    assert HELD in stage.lines("done")

    stage.publish(opened(range(101, 121)))
    stage.start()

    wanted = {*range(1, EVENTS + 1), *range(101, 121)}
    stage.until(lambda: set(stage.lines("done")) == wanted)
    assert stage.lines("done").count(HELD) == 1


def test_the_last_events_are_acknowledged_when_nothing_more_arrives(stage):
    """Ended when idle, the next process does none of them again."""
    stage.publish(opened(range(1, 8)))
    stage.start()
    stage.until(lambda: len(stage.lines("done")) == 7)
    assert stage.end(signal.SIGTERM) == 0

    stage.publish(opened([8]))
    stage.start()

    stage.until(lambda: 8 in stage.lines("done"))
    assert sorted(stage.lines("began")) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_garbage_goes_to_the_dead_letters_and_the_stage_goes_on(stage):
    """With its bytes, its reason and its origin; all others are done."""
    stage.publish([*opened([1, 2]), b"garbage", b"", *opened([3, 4])])
    stage.start()

    stage.until(lambda: set(stage.lines("done")) == {1, 2, 3, 4})
    letters = stage.dead_letters(2)

    assert {value or b"" for value, _ in letters} == {b"garbage", b""}
    assert {headers["__streams.errors.exception"] for _, headers in letters} == {b"codec"}
    places = {
        (headers["__streams.errors.partition"], headers["__streams.errors.offset"]) for _, headers in letters
    }
    assert places == {(b"0", b"1"), (b"1", b"1")}


@pytest.mark.parametrize(
    ("garbage", "kept"),
    [(bytes(3_000_000), 3_000_000), (random.Random(1).randbytes(3_000_000), 512 * 1024)],
    ids=["compressible", "incompressible"],
)
def test_a_message_too_large_for_the_dead_letters_holds_up_nobody(stage, garbage, kept):
    """Whole where compression makes it fit, else its beginning and its size; and the stage goes on."""
    stage.publish([*opened([1, 2]), garbage, b"small", *opened([3, 4])])
    stage.start()

    stage.until(lambda: set(stage.lines("done")) == {1, 2, 3, 4})
    letters = stage.dead_letters(2)

    assert {value for value, _ in letters} == {b"small", garbage[:kept]}
    sizes = {headers.get("__streams.errors.size") for _, headers in letters}
    assert sizes == ({None} if kept == len(garbage) else {None, b"3000000"})
    stage.publish(opened([5, 6]))
    stage.until(lambda: {5, 6} <= set(stage.lines("done")))
    assert stage.end(signal.SIGTERM) == 0


def test_transactions_are_read_when_they_are_committed_and_never_when_they_are_aborted(stage):
    """The first record of the partition stands alone before an aborted transaction: Faust would not commit again."""
    stage.publish(opened([1]))
    Transaction(stage.kafka).send(stage.topic, *opened([100, 101, 102])).abort()
    Transaction(stage.kafka).send(stage.topic, *opened([3, 5])).commit()
    stage.start()
    stage.until(lambda: {1, 3, 5} <= set(stage.lines("done")))
    still_open = Transaction(stage.kafka).send(stage.topic, *opened([7]))
    stage.publish(opened([9]))
    stage.commit()

    assert sorted(stage.lines("done")) == [1, 3, 5]

    still_open.commit()
    stage.until(lambda: set(stage.lines("done")) == {1, 3, 5, 7, 9})
    assert stage.end(signal.SIGTERM) == 0
    stage.publish(opened([11]))
    stage.start()
    stage.until(lambda: 11 in stage.lines("done"))
    assert sorted(stage.lines("began")) == [1, 3, 5, 7, 9, 11]


def test_a_header_name_that_is_no_text_holds_up_nobody(stage):
    """The record is processed, as are those behind it."""
    one, two = opened([1, 2])
    produce(stage.kafka, stage.topic, batch((one, [(b"\xff\xfe-name", b"x")]), (two, [])))
    stage.publish(opened([3]))
    stage.start()

    stage.until(lambda: set(stage.lines("done")) == {1, 2, 3})


def test_a_batch_that_inflates_to_a_gigabyte_is_a_dead_letter_and_the_stage_goes_on(stage):
    """As zstd that is 35 kB. The process stays within the limit of a batch."""
    stage.publish(opened([1]))
    stage.start()
    stage.until(lambda: stage.lines("done") == [1])
    produce(stage.kafka, stage.topic, bomb(1024))
    stage.publish(opened([3]))

    stage.until(lambda: set(stage.lines("done")) == {1, 3})
    ((_, headers),) = stage.dead_letters(1)
    assert headers["__streams.errors.exception"] == b"unreadable"
    assert psutil.Process(stage.process.pid).memory_info().rss < 300_000_000


def test_hundreds_of_large_records_take_no_more_memory_than_a_few(stage):
    """Of 15 MiB each, 3 GB in all; in 400 kB that the broker keeps."""
    large = bomb(15)
    for _ in range(200):
        produce(stage.kafka, stage.topic, large)
    stage.publish(opened([1]))
    stage.start()

    stage.until(lambda: stage.lines("done") == [1], 120)
    assert peak(stage.process.pid) < 500_000_000


def peak(pid):
    """The most memory that a process ever had, in bytes."""
    (line,) = [x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
