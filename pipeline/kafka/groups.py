"""Consumer groups moved by hand: who is alive, and a group's place set to the beginning or end of its topics.

Blocking. Raises EngineError when the broker does not answer, or refuses because the group has members.
"""

from collections.abc import Callable, Iterable

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
    _move(bootstrap, group, topics, lambda first, end: end)


def rewind(bootstrap: str, group: str, topics: Iterable[str]) -> None:
    """From now on the group, which has no members, begins with the oldest records there are."""
    _move(bootstrap, group, topics, lambda first, end: first)


def _move(bootstrap: str, group: str, topics: Iterable[str], place: Callable[[int, int], int]) -> None:
    """By a commit from outside, which the broker refuses while the group has members.

    Not by the admin client: on NOT_COORDINATOR it takes the process down (librdkafka #5040).
    """
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, "log_level": 2}
    )
    try:
        places = []
        for topic in topics:
            for partition in consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions:
                bounds = consumer.get_watermark_offsets(TopicPartition(topic, partition), _TIMEOUT_S)
                places.append(TopicPartition(topic, partition, place(*bounds)))
        consumer.commit(offsets=places, asynchronous=False)
    except KafkaException as error:
        raise _failed(bootstrap, f"group {group}", error) from error
    finally:
        consumer.close()


def _failed(bootstrap: str, about: str, error: KafkaException) -> EngineError:
    return EngineError(
        f"Kafka at {bootstrap}: {about}: {error.args[0].str()}", "`tideline status` tells whether Kafka is up"
    )
