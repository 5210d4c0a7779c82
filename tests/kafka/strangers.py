"""What other people's producers send: transactions, and record batches that no client of ours would make."""

import asyncio
import struct
from uuid import uuid4

import cramjam
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c, encode_varint
from confluent_kafka import Producer

_LENGTH, _CRC, _ATTRIBUTES, _RECORDS = 8, 17, 21, 61


class Transaction:
    """A transaction that is open until it is committed or aborted."""

    def __init__(self, kafka):
        self.producer = Producer({"bootstrap.servers": kafka, "transactional.id": f"stranger-{uuid4()}"})
        self.producer.init_transactions(30)
        self.producer.begin_transaction()

    def send(self, topic, *values, partition=0):
        for value in values:
            self.producer.produce(topic, value, b"key", partition=partition)
        assert self.producer.flush(30) == 0
        return self

    def commit(self):
        self.producer.commit_transaction(30)

    def abort(self):
        self.producer.abort_transaction(30)


def batch(*records, codec=0):
    """A record batch of (value, headers); a header's name may be bytes; `codec` as Kafka numbers them."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 31)
    replaced = {}
    for offset, (value, headers) in enumerate(records):
        named = []
        for number, (name, text) in enumerate(headers):
            if isinstance(name, bytes):  # the builder takes text alone
                stand_in = f"{offset}:{number}:".ljust(len(name), "~")
                replaced[stand_in.encode()], name = name, stand_in
            named.append((name, text))
        assert builder.append(offset, 1_700_000_000_000, b"key", value, named) is not None
    made = bytearray(builder.build())
    for stand_in, name in replaced.items():
        assert not codec
        assert made.count(stand_in) == 1
        made = made.replace(stand_in, name)
    return with_checksum(made)


def bomb(mebibytes):
    """A record batch of one record with so many zeros, as zstd."""
    size = mebibytes << 20
    fields = b"\0\0\0\1" + _varint(size)
    packed = cramjam.zstd.Compressor()
    packed.compress(_varint(len(fields) + size + 1) + fields)
    for _ in range(mebibytes):
        packed.compress(bytes(1 << 20))
    packed.compress(b"\0")
    made = bytearray(batch((b"", []), codec=4)[:_RECORDS]) + bytes(packed.finish())
    struct.pack_into(">i", made, _LENGTH, len(made) - _LENGTH - 4)
    return with_checksum(made)


def _varint(number):
    out = bytearray()
    encode_varint(number, out.append)
    return bytes(out)


def with_checksum(made):
    """The batch as a broker takes it, however it was changed."""
    struct.pack_into(">I", made, _CRC, calc_crc32c(bytes(made[_ATTRIBUTES:])))
    return bytes(made)


def produce(kafka, topic, made, partition=0):
    """Send a record batch as it is."""

    async def send():
        client = AIOKafkaClient(bootstrap_servers=kafka)
        await client.bootstrap()
        try:
            await client.force_metadata_update()
            (node,) = [one.nodeId for one in client.cluster.brokers()]
            answer = await client.send(
                node,
                ProduceRequest(
                    transactional_id=None,
                    required_acks=1,
                    timeout=10_000,
                    topics=[(topic, [(partition, made)])],
                ),
            )
            return [error for _, partitions in answer.topics for _, error, *_ in partitions]
        finally:
            await client.close()

    assert asyncio.run(send()) == [0]
