"""The stages of the path, one module each, in the order data meets them:

`graph` → `readers` → `counters` → `policy` → `classify` → `fanout` (a tier each) → `ask` (pages over Kafka).

A stage is a class of ports with one coroutine, `handle`, that takes a batch of decoded messages, asks one
rule of `domain`, writes through its ports, and returns what it refuses. `kafka.loop` calls it, tries it again
while an engine is away, and acknowledges the batch after it; `apps` binds the two.
"""
