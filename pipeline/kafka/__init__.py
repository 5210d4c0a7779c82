"""Kafka, on this side of the wall: the safe loop, the outbox, dead letters, whole-topic views, lag, traces.

`confluent_kafka` and `faust` are imported here and in `runtime.apps` only. `loop` and `outbox` together are
the delivery guarantee of every stage: at least once, nothing acknowledged before its writes are durable.
"""
