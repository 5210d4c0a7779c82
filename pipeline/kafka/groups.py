"""Consumer groups moved by hand: who is alive, and a group's place set to the end of its topics.

Blocking. Raises EngineError when the broker does not answer, or refuses because the group has members.
"""

from collections.abc import Iterable

from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from pipeline.errors import EngineError

_TIMEOUT_S = 30.0


def active(bootstrap: str, prefix: str) -> list[str]:
    """The groups of this prefix that have members now."""
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
    try:
        listed = client.list_consumer_groups(request_timeout=_TIMEOUT_S).result(_TIMEOUT_S)
    except KafkaException as error:
        raise _failed(bootstrap, "consumer groups", error) from error
    empty = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
    return sorted(g.group_id for g in listed.valid if g.group_id.startswith(prefix) and g.state not in empty)


def skip_to_end(bootstrap: str, group: str, topics: Iterable[str]) -> None:
    """From now on the group, which has no members, goes on behind what these topics hold now."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, "log_level": 2}
    )
    try:
        ends = []
        for topic in topics:
            for partition in consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions:
                _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), _TIMEOUT_S)
                ends.append(TopicPartition(topic, partition, end))
        consumer.commit(offsets=ends, asynchronous=False)
    except KafkaException as error:
        raise _failed(bootstrap, f"group {group}", error) from error
    finally:
        consumer.close()


def _failed(bootstrap: str, about: str, error: KafkaException) -> EngineError:
    return EngineError(
        f"Kafka at {bootstrap}: {about}: {error.args[0].str()}", "`tideline status` tells whether Kafka is up"
    )
