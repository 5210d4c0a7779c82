"""A compacted topic held whole: what every process of a stage knows of, without a group and without lag.

A plain consumer on a thread of its own reads all partitions from the beginning and then follows. Faust
tables have open stall reports and tie state to partitions; this needs neither (docs/decisions).
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.errors import EngineError, Unavailable
from pipeline.kafka.bounds import Bounds
from pipeline.kafka.client import UNAUTHORIZED, hint, settings
from pipeline.kafka.newest import Newest
from pipeline.kafka.ports import Kept
from pipeline.kafka.unreadable import passed
from pipeline.telemetry import metrics
from pipeline.wire.codec import decode

Record = TypeVar("Record")
_PAUSE_S = 0.5
_LOOK_S = 0.3
"""Seconds between two questions to the broker where the topic ends."""

_ANSWER_S = 1.0

_log = structlog.get_logger()


class TopicView(Newest[Record]):
    """The newest record of each key of one topic. `get` may be called from any thread."""

    def __init__(
        self,
        bootstrap: str,
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
        self._as_of = self._started = -float("inf")
        self._consumer = Consumer(
            {
                **settings(bootstrap),
                "group.id": f"view-of-{topic}",  # required by the client, never committed or joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",  # a topic that was made anew is read anew, not skipped
                "log_level": 3,
            }
        )
        self._bounds = Bounds(bootstrap, timeout_s=_ANSWER_S)
        self._behind: dict[int, int] = {}
        self._caught_up, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"view {topic}", daemon=True)

    def start(self, timeout_s: float = 30) -> None:
        """Read to the end once, then follow. Raises EngineError when that takes longer, or Kafka is away."""
        self._started = time.monotonic()  # what the broker says from now on is as of then at least
        try:
            self._find_out(timeout_s)
        except KafkaException as error:
            reason = error.args[0]
            raise EngineError(f"{self.topic}: {reason.str()}", hint(reason, "tideline status")) from error
        self._consumer.assign(
            [
                TopicPartition(self.topic, p, OFFSET_BEGINNING if self._lost is None else at)
                for p, at in self._positions.items()
            ]
        )
        self._thread.start()
        if not self._caught_up.wait(timeout_s):
            raise EngineError(f"{self.topic}: not read to its end in {timeout_s:.0f} s", "tideline status")

    def _find_out(self, timeout_s: float) -> None:
        """Where each partition begins and ends now."""
        found = self._consumer.list_topics(self.topic, timeout=timeout_s).topics[self.topic]
        if found.error is not None and found.error.code() in UNAUTHORIZED:
            raise KafkaException(found.error)  # or what may not be read would look empty
        for partition in found.partitions:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout_s)
            self._positions[partition] = low if self._lost is None else high
            self._behind[partition] = high

    def age_s(self) -> float:
        """Seconds since this view was known to hold everything the broker had acknowledged."""
        return time.monotonic() - self._as_of

    def close(self) -> None:
        """Stop following; does nothing the second time."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()
        self._bounds.close()

    def _follow(self) -> None:
        looked, looking = self._started, False
        while not self._closing.is_set():
            if self._at_end():
                self._as_of = max(self._as_of, looked)
                self._caught_up.set()
                looking = False
            if not looking and time.monotonic() - looked >= _LOOK_S:
                looked, looking = self._look(looked)
            try:
                messages = self._consumer.consume(1000, timeout=0.1)
            except KafkaException:
                self._closing.wait(_PAUSE_S)  # the broker is away; librdkafka reconnects by itself
                continue
            for message in messages:
                partition, offset, error = message.partition() or 0, message.offset() or 0, message.error()
                if error is None:
                    self._expect(partition, offset)
                    self._take(message.key() or b"", message.value())
                    self._positions[partition] = offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    self._expect(partition, offset)
                    self._positions[partition] = offset
                elif passed(self._consumer, message):
                    metrics.VIEW_SKIPPED.labels(self.topic).inc()
                    self._positions[partition] = offset + 1

    def _look(self, before: float) -> tuple[float, bool]:
        """Ask where the topic ends now; returns as of when the answer holds, and whether there was one."""
        now = time.monotonic()
        ends = self._bounds.ends((self.topic, number) for number in self._behind)
        if len(ends) < len(self._behind):
            return before, False
        self._behind = {number: end for (_, number), end in ends.items()}
        return now, True

    def _at_end(self) -> bool:
        """Compaction and transactions leave holes, also at the end: there the broker says where that is."""
        return all(self._positions[p] >= end for p, end in self._behind.items())

    def _expect(self, partition: int, offset: int) -> None:
        """The next record is this one. Compaction leaves holes; where nothing is compacted there are none."""
        if self._lost is not None and offset != self._positions[partition]:
            _log.warning("view.lost", topic=self.topic, partition=partition, read_to=offset)
            self._positions[partition] = offset
            self._lost()

    def _use(self, key: bytes, value: bytes | None, name: str) -> None:
        while not self._closing.is_set():
            try:
                super()._use(key, value, name)
            except (Unavailable, EngineError) as away:  # a schema registry: the record may be good
                _log.warning("view.waiting", topic=self.topic, key=name, error=away.message)
                self._closing.wait(_PAUSE_S)
            else:
                return


def whole(bootstrap: str, topic: str, record: type[Record]) -> list[Record]:
    """Every record that a compacted topic holds now. Raises EngineError when Kafka does not answer."""
    decoding: Callable[[bytes], Record] = partial(decode, expected=record)
    view = TopicView(bootstrap, topic, decoding)
    try:
        view.start()
        return view.values()
    finally:
        view.close()
