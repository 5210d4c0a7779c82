"""Quotas of producers: the twin and the broker agree, and the broker slows whom it says and nobody else."""

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.errors import EngineError
from pipeline.kafka.quotas import Quotas
from tests.stages.fakes import MemoryQuotas
from tests.waiting import eventually

TOPIC = "quotas.test"


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.engines)])
def quotas(request):
    return MemoryQuotas() if request.param == "memory" else Quotas(request.getfixturevalue("engines").kafka)


async def test_what_is_set_is_told_and_what_is_taken_away_is_gone(quotas):
    await quotas.put({"quota/news": 1_000, "quota é": 2_000})
    await quotas.put({"quota/news": 4_096, "quota é": None, "quota none": None})
    await quotas.put({})
    assert {name: rate for name, rate in (await quotas.all()).items() if "quota" in name} == {
        "quota/news": 4_096.0
    }

    await quotas.put({"quota/news": None})
    assert [name for name in await quotas.all() if "quota" in name] == []


class Sender:
    """A producer that counts how often the broker had it wait."""

    def __init__(self, kafka: str, name: str) -> None:
        self.waits = 0
        self._producer = Producer(
            {"bootstrap.servers": kafka, "client.id": name, "linger.ms": 0, "throttle_cb": self._waited}
        )

    def send(self, size: int) -> None:
        self._producer.produce(TOPIC, b"x" * size, on_delivery=self._delivered)
        assert self._producer.flush(60) == 0

    def _delivered(self, error: object, message: object) -> None:
        assert error is None

    def _waited(self, event: object) -> None:
        self.waits += 1


@pytest.mark.engines
async def test_the_broker_slows_whom_it_is_told_to_refuses_nothing_and_slows_nobody_else(engines):
    quotas = Quotas(engines.kafka)
    admin = AdminClient({"bootstrap.servers": engines.kafka})
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(30)
    hot, ordinary = Sender(engines.kafka, "quota hot"), Sender(engines.kafka, "quota ordinary")
    await quotas.put({"quota hot": 1_000})
    try:

        def slowed() -> bool:
            hot.send(10_000)
            ordinary.send(10_000)
            return hot.waits > 0

        eventually(slowed)
        assert ordinary.waits == 0
    finally:
        await quotas.put({"quota hot": None})


async def test_a_broker_that_is_away_is_told():
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:1: quotas"):
        await Quotas("127.0.0.1:1").all()
