"""Sends hostile records over Kafka: in every compression, in transactions that end and that do not."""

import random
import uuid
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from tests.hostile.mutants import BOMB_BYTES, Fate, Mutant

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
OPEN_MS = 1_000
"""After this the broker ends a transaction that nobody ends; it looks every ten seconds."""

Place = tuple[str, int, int]
"""Topic, partition and offset."""


class Sender:
    """Notes where each record went. Use `close` at the end; until then not everything is there."""

    def __init__(self, kafka: str, seed: int) -> None:
        self._kafka, self._random = kafka, random.Random(f"sender {seed}")
        self._ends = random.Random(f"transactions {seed}")
        self.sent: dict[Place, Mutant] = {}
        self.refused: dict[str, int] = {}
        """What the broker or its client did not take, by error."""
        self._plain = {codec: self._producer({"compression.type": codec}) for codec in CODECS}
        self._in_transactions = self._transactional(60_000)
        self._left_open: list[Producer] = []

    def _producer(self, more: dict[str, Any]) -> Producer:
        settings = {
            "bootstrap.servers": self._kafka,
            "log_level": 0,
            "linger.ms": 20,
            "enable.idempotence": True,  # or what a busy broker acknowledges late is there twice, once untold
            "partitioner": "murmur2_random",
            "message.max.bytes": 4 * BOMB_BYTES,
        }
        return Producer(settings | more)

    def _transactional(self, timeout_ms: int) -> Producer:
        made = self._producer(
            {"transactional.id": f"hostile-{uuid.uuid4()}", "transaction.timeout.ms": timeout_ms}
        )
        made.init_transactions(30)
        return made

    def send(self, mutants: Iterable[Mutant]) -> None:
        """Each in a compression that is drawn."""
        for mutant in mutants:
            self._produce(self._plain[self._random.choice(CODECS)], mutant)
        for producer in self._plain.values():
            producer.poll(0)

    def send_compressed(self, mutant: Mutant) -> None:
        """What is small only when it is compressed."""
        self._produce(self._plain["gzip"], mutant)

    def transaction(self, mutants: Iterable[Mutant]) -> None:
        """All of them in one transaction, which is committed or aborted."""
        commit = self._ends.random() < 0.5
        self._in_transactions.begin_transaction()
        for mutant in mutants:
            self._produce(self._in_transactions, mutant if commit else _unseen(mutant))
        self._in_transactions.flush(30)  # or where the last ones went is never told
        if commit:
            self._in_transactions.commit_transaction(30)
        else:
            self._in_transactions.abort_transaction(30)

    def leave_open(self, mutant: Mutant) -> None:
        """A transaction that its producer forgets. Others of its partition wait until the broker ends it."""
        producer = self._transactional(OPEN_MS)
        producer.begin_transaction()
        self._produce(producer, _unseen(mutant))
        producer.flush(30)
        self._left_open.append(producer)

    def _produce(self, producer: Producer, mutant: Mutant) -> None:
        place = {} if mutant.partition is None else {"partition": mutant.partition}
        producer.produce(
            mutant.topic,
            mutant.value,
            mutant.key,
            headers=mutant.headers,
            on_delivery=partial(self._note, mutant),
            **place,
        )

    def _note(self, mutant: Mutant, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.sent[message.topic(), message.partition(), message.offset()] = mutant
        else:
            self.refused[error.name()] = self.refused.get(error.name(), 0) + 1

    def close(self) -> None:
        """Return when the broker has everything that it takes."""
        for producer in self._plain.values():
            assert producer.flush(60) == 0
        self._left_open.clear()


def _unseen(mutant: Mutant) -> Mutant:
    return replace(mutant, fate=Fate.UNSEEN, reasons=frozenset(), post=None)
