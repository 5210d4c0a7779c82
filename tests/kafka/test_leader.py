"""One of several acts: who was first keeps acting when another joins, and is followed when it leaves."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.kafka.leader import Leader
from tests.waiting import eventually


@pytest.fixture
def topic(engines: Any) -> Iterator[str]:
    """A topic of one partition."""
    name, client = f"leader-{uuid4().hex[:8]}", AdminClient({"bootstrap.servers": engines.kafka})
    client.create_topics([NewTopic(name, 1, 1)])[name].result()
    yield name
    client.delete_topics([name])[name].result()


def test_one_acts_and_the_next_one_when_it_has_gone(engines: Any, topic: str) -> None:
    first = Leader(engines.kafka, topic, f"{topic}-group")
    eventually(first, timeout=30)

    second = Leader(engines.kafka, topic, f"{topic}-group")
    eventually(lambda: _members(engines.kafka, f"{topic}-group") == 2, timeout=30)
    assert (first(), second()) == (True, False)

    first.close()
    eventually(second, timeout=30)
    assert not first()
    second.close()


def _members(kafka: str, group: str) -> int:
    client = AdminClient({"bootstrap.servers": kafka})
    described = client.describe_consumer_groups([group])[group].result()
    return len(described.members) if described.state.name == "STABLE" else 0
