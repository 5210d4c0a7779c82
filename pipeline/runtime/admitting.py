"""Who is let in by one topology: `domain.admission`, for messages as they come."""

from collections.abc import Callable
from typing import Any

from pipeline.domain import admission
from pipeline.domain.admission import ClockLimits
from pipeline.kafka.messages import Incoming
from pipeline.topology import Topology
from pipeline.wire import headers

Admit = Callable[[Any, Incoming], Any]
"""The record of a message as its stage may trust it, or a Refusal; a record of our own topics as it is."""


def limits_of(topology: Topology) -> ClockLimits:
    """What is held against the clock, and how far."""
    return ClockLimits(topology.routing.clock_ahead_ms, topology.routing.window_ms)


def admission_of(topology: Topology) -> Admit:
    """Who is let in on the topics that others write to, by the broker's time for each message."""
    limits = limits_of(topology)
    guarded = {topology.topics[topic].name: topic for topic in (*admission.INPUTS, *admission.MARKS)}

    def admit(record: Any, message: Incoming) -> Any:
        topic = guarded.get(message.topic)
        if topic is None:
            return record
        claimed = headers.claimed_times(message.headers)
        return admission.admit(topic, record, message.timestamp_ms, limits, claimed)

    return admit
