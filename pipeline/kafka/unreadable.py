"""Batches that librdkafka cannot read: it says so again and again, and never goes on by itself."""

from contextlib import suppress

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

_NEVER = (KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG)


def passed(consumer: Consumer, message: Message) -> bool:
    """Whether this stands for records that cannot be read; the consumer then goes on behind the first one.

    A batch is passed offset by offset: the client does not say where it ends.
    """
    error, offset = message.error(), message.offset()
    if error is None or error.code() not in _NEVER or offset is None:
        return False
    with suppress(KafkaException):  # no longer assigned, or said once more
        consumer.seek(TopicPartition(message.topic() or "", message.partition() or 0, offset + 1))
    return True
