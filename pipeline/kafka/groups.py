"""Consumer groups by hand: who is in them, and a group's place set to other offsets.

Blocking. Raises EngineError when the broker does not answer, or refuses because the group has members.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConsumerGroupDescription  # type: ignore[attr-defined]

from pipeline.errors import EngineError
from pipeline.kafka.bounds import Partition
from pipeline.kafka.client import hint, settings
from pipeline.kafka.spans import Span, spans

_TIMEOUT_S = 30.0

_LOOK_S = 5.0
"""For who only looks: a group that is not answered for is unknown by then."""


def active(bootstrap: str, prefix: str) -> list[str]:
    """The groups of this prefix that have members now."""
    client = AdminClient({**settings(bootstrap), "log_level": 2})
    try:
        listed = client.list_consumer_groups(request_timeout=_TIMEOUT_S).result(_TIMEOUT_S)
    except KafkaException as error:
        raise _failed(bootstrap, "consumer groups", error) from error
    empty = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
    return sorted(g.group_id for g in listed.valid if g.group_id.startswith(prefix) and g.state not in empty)


@dataclass(frozen=True, slots=True)
class Member:
    """A consumer in a group: the name it gave itself, where it runs, and what is its to process."""

    client_id: str
    host: str
    partitions: tuple[Partition, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A group as its coordinator sees it: stable, empty, dead, preparing_rebalancing …, or unknown."""

    state: str
    members: tuple[Member, ...] = ()


def described(bootstrap: str, names: Iterable[str]) -> dict[str, Group]:
    """Each of these groups: dead when there is none of the name, unknown when nobody answers for it.

    Not its offsets, which the admin client must not be asked for: see `move`.
    """
    return Members(bootstrap).ask(names).groups()


class Members:
    """Asks who is in groups, again and again at little cost, and while other answers are awaited."""

    def __init__(self, bootstrap: str) -> None:
        self._client = AdminClient({**settings(bootstrap), "log_level": 2})

    def ask(self, names: Iterable[str]) -> "Asked":
        """Ask for these groups; returns at once."""
        return Asked(
            self._client, self._client.describe_consumer_groups(list(names), request_timeout=_LOOK_S)
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of groups. `client` is held until the answers are there: without it they never come."""

    client: AdminClient
    answers: "Mapping[str, Future[ConsumerGroupDescription]]"

    def groups(self) -> dict[str, Group]:
        """As `described` has them, awaited."""
        return {name: _described(answer) for name, answer in self.answers.items()}

    def members(self) -> dict[str, int]:
        """How many each group has; one that nobody answers for is missing."""
        return {name: len(one.members) for name, one in self.groups().items() if one.state != "unknown"}


def _described(answer: "Future[ConsumerGroupDescription]") -> Group:
    try:
        found = answer.result(_LOOK_S + 1)
    except (KafkaException, TimeoutError):
        return Group("unknown")
    members = (
        Member(
            one.client_id,
            one.host.removeprefix("/"),
            tuple(sorted((place.topic, place.partition) for place in one.assignment.topic_partitions)),
        )
        for one in found.members
    )
    return Group(found.state.name.lower(), tuple(sorted(members, key=lambda one: one.partitions)))


def skip_to_end(bootstrap: str, group: str, topics: Iterable[str]) -> None:
    """From now on the group, which has no members, goes on behind what these topics hold now."""
    move(bootstrap, group, {place: end for place, (_, end) in _whole(bootstrap, topics).items()})


def rewind(bootstrap: str, group: str, topics: Iterable[str]) -> None:
    """From now on the group, which has no members, begins with the oldest records there are."""
    move(bootstrap, group, {place: begin for place, (begin, _) in _whole(bootstrap, topics).items()})


def _whole(bootstrap: str, topics: Iterable[str]) -> dict[Partition, Span]:
    with spans(bootstrap) as reader:
        return {place: span for topic in topics for place, span in reader.whole(topic).items()}


def move(bootstrap: str, group: str, to: Mapping[Partition, int]) -> None:
    """By a commit from outside, which the broker refuses while the group has members.

    Not by the admin client: on NOT_COORDINATOR it takes the process down (librdkafka #5040).
    """
    consumer = Consumer(
        {**settings(bootstrap), "group.id": group, "enable.auto.commit": False, "log_level": 2}
    )
    places = [TopicPartition(*place, offset) for place, offset in to.items()]
    try:
        for place in consumer.commit(offsets=places, asynchronous=False):
            if place.error is not None:
                raise KafkaException(place.error)
    except KafkaException as error:
        raise _failed(bootstrap, f"group {group}", error) from error
    finally:
        consumer.close()


def _failed(bootstrap: str, about: str, error: KafkaException) -> EngineError:
    reason = error.args[0]
    return EngineError(f"Kafka at {bootstrap}: {about}: {reason.str()}", hint(reason))
