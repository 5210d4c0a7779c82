"""The stages of the path, one module each, in the order data meets them:

`graph` → `readers` → `counters` → `moderation` → `classify` → `fanout` (a tier each) → `backfill` and
`retract` (rows after the fact) → `erase` (an account) → `ask` (pages over Kafka). The others are what
several of them share.

A stage is a class of ports with one coroutine, `handle`, that takes a batch of decoded messages, asks one
rule of `domain`, writes through its ports, and returns what it refuses. `kafka.loop` calls it, tries it again
while an engine is away, and acknowledges the batch after it; `runtime.apps` binds the two.
"""
