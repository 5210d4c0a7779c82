"""Where topics begin and end, for who reads committed records.

What the broker did not say is missing from the answers, never 0.
"""

from collections.abc import Iterable
from contextlib import suppress

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from pipeline.kafka.client import UNAUTHORIZED, settings

Partition = tuple[str, int]


class Bounds:
    """Asks on a connection of its own: that of a consumer answers nothing else while it waits for records."""

    def __init__(self, bootstrap: str, *, timeout_s: float) -> None:
        """`timeout_s`: what the broker has not answered after this counts as unknown."""
        self._timeout_s = timeout_s
        self._admin = AdminClient({**settings(bootstrap), "log_level": 2})

    def close(self) -> None:
        """Let go of the client, which has no close: its connections go with it."""
        del self._admin

    def partitions(self, topic: str, timeout_s: float) -> list[Partition]:
        """The partitions of a topic, none where there is no such topic. Raises KafkaException."""
        found = self._admin.list_topics(topic, timeout=timeout_s).topics[topic]
        if found.error is not None and found.error.code() in UNAUTHORIZED:
            raise KafkaException(found.error)  # or what may not be read would look empty
        return [(topic, number) for number in found.partitions]

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """By partition, the last stable offset: where an open transaction begins, or the next record will be.

        What is before it need not be a record: transactions leave markers, and aborted ones nothing else.
        """
        return self._bounds(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def appended(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """By partition, the offset the next record will get, whatever is open."""
        return self._bounds(
            partitions,
            OffsetSpec.latest(),  # type: ignore[no-untyped-call]
            IsolationLevel.READ_UNCOMMITTED,
        )

    def begins(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """By partition, the offset of the oldest record that is still there."""
        return self._bounds(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def _bounds(
        self,
        partitions: Iterable[Partition],
        spec: OffsetSpec,
        level: IsolationLevel = IsolationLevel.READ_COMMITTED,
    ) -> dict[Partition, int]:
        wanted = {TopicPartition(*one): spec for one in partitions}
        if not wanted:
            return {}
        found, fenced = self._listed(wanted, level)
        if fenced:
            with suppress(KafkaException):
                self._admin.list_topics(timeout=self._timeout_s)
                found |= self._listed(dict.fromkeys(fenced, spec), level)[0]
        return found

    def _listed(
        self, wanted: dict[TopicPartition, OffsetSpec], level: IsolationLevel
    ) -> tuple[dict[Partition, int], list[TopicPartition]]:
        """What the broker answered, and what it did not because the client knows leaders of before a restart.

        librdkafka's admin client would know no others ever after: it does not refresh them by itself.
        """
        found: dict[Partition, int] = {}
        fenced: list[TopicPartition] = []
        answers = self._admin.list_offsets(wanted, isolation_level=level, request_timeout=self._timeout_s)
        for place, answer in answers.items():
            try:
                found[place.topic, place.partition] = answer.result(self._timeout_s + 1).offset
            except KafkaException as error:
                if error.args[0].code() == KafkaError.FENCED_LEADER_EPOCH:
                    fenced.append(place)
            except TimeoutError:
                pass  # what was not read stays unknown
        return found, fenced
