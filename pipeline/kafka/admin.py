"""Topics as the broker has them, and the three changes `tideline topology apply` makes to them.

Blocking: run it in a thread where an event loop must go on. Every method raises EngineError when the broker
does not answer, or says no, with its reason.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its __init__ does not mark its exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from pipeline.errors import EngineError
from pipeline.kafka.client import hint, settings

TIMEOUT_S = 30.0
"""How long a broker may take: creating a topic of many partitions on a busy one takes seconds."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is: its partitions, its replicas, and every setting in force."""

    partitions: int
    replicas: int
    configs: Mapping[str, str]


class Admin:
    """The administration of one cluster. `dry_run`: the broker says whether it would, and changes nothing."""

    def __init__(self, bootstrap: str, *, dry_run: bool = False) -> None:
        self._bootstrap, self._dry_run = bootstrap, dry_run
        self._client = AdminClient({**settings(bootstrap), "log_level": 2})

    def topics(self, names: Iterable[str]) -> dict[str, TopicState]:
        """Those of these topics that exist."""
        with self._talk("topics"):
            found = self._client.list_topics(timeout=TIMEOUT_S).topics
        here = [name for name in names if name in found]
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in here]
        configs: dict[str, dict[str, str]] = {}
        if resources:
            answers = self._client.describe_configs(resources, request_timeout=TIMEOUT_S)
            for resource, answer in answers.items():
                with self._talk(resource.name):
                    configs[resource.name] = {name: entry.value for name, entry in answer.result().items()}
        return {
            name: TopicState(
                len(found[name].partitions),
                min((len(each.replicas) for each in found[name].partitions.values()), default=0),
                configs[name],
            )
            for name in here
        }

    def create(self, name: str, partitions: int, replicas: int, configs: Mapping[str, str]) -> None:
        """Create a topic. One that somebody else created meanwhile is left as it is."""
        topic = NewTopic(name, partitions, replicas, config=dict(configs))
        self._ask(name, self._client.create_topics, [topic], but=KafkaError.TOPIC_ALREADY_EXISTS)

    def raise_partitions(self, name: str, total: int) -> None:
        """Give a topic more partitions."""
        self._ask(name, self._client.create_partitions, [NewPartitions(name, total)])

    def set_configs(self, name: str, configs: Mapping[str, str]) -> None:
        """Set these settings of a topic and leave the others alone."""
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            for key, value in configs.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        self._ask(name, self._client.incremental_alter_configs, [resource])

    def _ask(
        self,
        topic: str,
        change: Callable[..., dict[Any, Future[Any]]],
        what: list[Any],
        *,
        but: int | None = None,
    ) -> None:
        """Make one change and wait for it; `but`: the refusal that means somebody did it before."""
        for answer in change(what, request_timeout=TIMEOUT_S, validate_only=self._dry_run).values():
            with self._talk(topic):
                try:
                    answer.result()
                except KafkaException as error:
                    if error.args[0].code() != but:
                        raise

    @contextmanager
    def _talk(self, about: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            reason = error.args[0]
            raise EngineError(f"Kafka at {self._bootstrap}: {about}: {reason.str()}", hint(reason)) from error
