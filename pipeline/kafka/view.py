"""Topics held whole: what every process of a stage knows of, without a group and without lag.

One plain consumer on a thread of its own reads all of a process's topics from the beginning, each to its end,
and then follows them. Faust tables have open stall reports and tie state to partitions; this needs neither
(docs/decisions). A consumer a topic costs an idle process five times the requests, threads and memory.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.errors import EngineError, Unavailable
from pipeline.kafka.bounds import Bounds, Partition
from pipeline.kafka.client import hint, settings
from pipeline.kafka.newest import Newest
from pipeline.kafka.ports import Kept
from pipeline.kafka.unreadable import passed
from pipeline.telemetry import metrics
from pipeline.wire.codec import decode

Record = TypeVar("Record")
_PAUSE_S = 0.5
_LOOK_S = 0.3
"""Seconds between two questions to the broker where the topics end."""

_ANSWER_S = 1.0
_MAX_MESSAGES = 1000

_log = structlog.get_logger()


class TopicView(Newest[Record]):
    """The newest record of each key of one topic, filled by its `Follower`. `get`: from any thread."""

    def __init__(
        self,
        topic: str,
        decode: Callable[[bytes], Record],
        kept: Kept[Record] | None = None,
        *,
        lost: Callable[[], None] | None = None,
    ) -> None:
        """`kept`: where records go instead of a dictionary of this view. With `lost` it begins at the end,
        and tells when records have gone before they were read, as they do in a topic that is not compacted.
        """
        super().__init__(topic, decode, kept)
        self._lost = lost
        self._as_of = self._asked = (
            time.monotonic()
        )  # what the broker says from now on is as of then at least
        self._waiting: deque[Message] = deque()
        self._behind: dict[int, int] = {}
        self.caught_up = threading.Event()

    @property
    def partitions(self) -> list[Partition]:
        """The partitions of its topic."""
        return [(self.topic, number) for number in self._behind]

    @property
    def waits(self) -> bool:
        """Whether it has records that it cannot read yet, and no others meanwhile."""
        return bool(self._waiting)

    def begin(self, begins: Mapping[Partition, int], ends: Mapping[Partition, int]) -> list[TopicPartition]:
        """Where it begins to read, as these are the bounds of its topic; and how far it has to."""
        self._behind = {number: end for (_, number), end in ends.items()}
        first = ends if self._lost is not None else begins
        self._positions = {number: first[self.topic, number] for number in self._behind}
        return [
            TopicPartition(self.topic, number, OFFSET_BEGINNING if self._lost is None else at)
            for number, at in self._positions.items()
        ]

    def age_s(self) -> float:
        """Seconds since this view was known to hold everything the broker had acknowledged."""
        return time.monotonic() - self._as_of if self.caught_up.is_set() else float("inf")

    def ends(self, ends: Mapping[Partition, int], asked: float) -> None:
        """The topic ended here when the broker was asked, if it answered."""
        if all(place in ends for place in self.partitions):
            self._behind = {number: ends[topic, number] for topic, number in self.partitions}
            self._asked = asked

    def check_end(self) -> None:
        """Compaction and transactions leave holes, also at the end: there the broker says where that is."""
        if all(self._positions[number] >= end for number, end in self._behind.items()):
            self._as_of = max(self._as_of, self._asked)
            self.caught_up.set()

    def take(self, message: Message) -> None:
        """The next record, the end of a partition, or what cannot be read; behind one that waits all wait."""
        self._waiting.append(message)
        if len(self._waiting) == 1:
            self.go_on()

    def go_on(self) -> None:
        """Take what waits, as far as it can be read."""
        while self._waiting:
            message = self._waiting[0]
            try:
                self._read(message)
            except (Unavailable, EngineError) as away:  # a schema registry: the record may be good
                _log.warning("view.waiting", topic=self.topic, key=str(message.key()), error=away.message)
                return
            self._waiting.popleft()

    def _read(self, message: Message) -> None:
        partition, offset = message.partition() or 0, message.offset() or 0
        self._expect(partition, offset)
        error = message.error()
        if error is None:
            self._take(message.key() or b"", message.value())
        elif error.code() != KafkaError._PARTITION_EOF:
            metrics.VIEW_SKIPPED.labels(self.topic).inc()
        ended = error is not None and error.code() == KafkaError._PARTITION_EOF
        self._positions[partition] = offset if ended else offset + 1

    def _expect(self, partition: int, offset: int) -> None:
        """The next record is this one. Compaction leaves holes; where nothing is compacted there are none."""
        if self._lost is not None and offset != self._positions[partition]:
            _log.warning("view.lost", topic=self.topic, partition=partition, read_to=offset)
            self._positions[partition] = offset
            self._lost()


class Follower:
    """Follows topics for a process: a connection and a thread for all of its views."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer(
            {
                **settings(bootstrap),
                "group.id": "views",  # required by the client, never committed or joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",  # a topic that was made anew is read anew, not skipped
                "log_level": 3,
            }
        )
        self._bounds = Bounds(bootstrap, timeout_s=_ANSWER_S)
        self._views: dict[str, TopicView[Any]] = {}
        self._joining: deque[tuple[TopicView[Any], list[TopicPartition]]] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="views", daemon=True)

    def follows(self, topic: str) -> bool:
        """Whether it has a view of this topic; there is no room for a second one."""
        return topic in self._views or any(view.topic == topic for view, _ in self._joining)

    def view(self, view: TopicView[Record], timeout_s: float = 30) -> TopicView[Record]:
        """Read its topic to the end once, then follow; the same view.

        Raises EngineError when that takes longer, or Kafka is away.
        """
        try:
            places = self._find_out(view, timeout_s)
        except KafkaException as error:
            reason = error.args[0]
            raise EngineError(f"{view.topic}: {reason.str()}", hint(reason, "tideline status")) from error
        self._joining.append((view, places))
        if not self._thread.is_alive():
            self._thread.start()
        if not view.caught_up.wait(timeout_s):
            raise EngineError(f"{view.topic}: not read to its end in {timeout_s:.0f} s", "tideline status")
        return view

    def close(self) -> None:
        """Stop following; does nothing the second time."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()
        self._bounds.close()

    def _find_out(self, view: TopicView[Any], timeout_s: float) -> list[TopicPartition]:
        """Where the topic of a view begins and ends now."""
        places = self._bounds.partitions(view.topic, timeout_s)
        begins, ends = self._bounds.begins(places), self._bounds.ends(places)
        if len(begins) < len(places) or len(ends) < len(places):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "where it ends is not known"))
        return view.begin(begins, ends)

    def _follow(self) -> None:
        asked = tried = time.monotonic()
        while not self._closing.is_set():
            while self._joining:
                self._join(*self._joining.popleft())
            for view in self._views.values():
                view.check_end()
            now = time.monotonic()
            if now - asked >= _LOOK_S:
                asked = now
                self._ask(now)
            if now - tried >= _PAUSE_S:
                tried = now
                self._go_on()
            try:
                messages = self._read()
            except KafkaException:
                self._closing.wait(_PAUSE_S)  # the broker is away; librdkafka reconnects by itself
                continue
            for message in messages:
                self._hand_on(message)

    def _join(self, view: TopicView[Any], places: list[TopicPartition]) -> None:
        """In this thread: a call from another one waits for as long as the client waits for records."""
        self._views[view.topic] = view
        if places:
            self._consumer.incremental_assign(places)

    def _read(self) -> list[Message]:
        """What is there, or comes first. Asked for many, the client would wait until it had as many."""
        first = self._consumer.poll(0.1)
        return [] if first is None else [first, *self._consumer.consume(_MAX_MESSAGES, timeout=0)]

    def _hand_on(self, message: Message) -> None:
        view, error = self._views.get(message.topic() or ""), message.error()
        if view is None:
            return
        if error is None or error.code() == KafkaError._PARTITION_EOF or passed(self._consumer, message):
            waited = view.waits
            view.take(message)
            if view.waits and not waited:
                self._consumer.pause(_all_of(view))

    def _go_on(self) -> None:
        """Views that had to wait try again; their topics are read on once they have taken everything."""
        for view in self._views.values():
            if view.waits:
                view.go_on()
                if not view.waits:
                    self._consumer.resume(_all_of(view))

    def _ask(self, now: float) -> None:
        """Ask where all topics end."""
        views = self._views.values()
        ends = self._bounds.ends(place for view in views for place in view.partitions)
        for view in views:
            view.ends(ends, now)


def _all_of(view: TopicView[Any]) -> list[TopicPartition]:
    return [TopicPartition(*place) for place in view.partitions]


def whole(bootstrap: str, topic: str, record: type[Record]) -> list[Record]:
    """Every record that a compacted topic holds now. Raises EngineError when Kafka does not answer."""
    follower = Follower(bootstrap)
    try:
        return follower.view(TopicView(topic, partial(decode, expected=record))).values()
    finally:
        follower.close()
