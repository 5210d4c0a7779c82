"""Gauges that need a memory: one that has no series but the last told ones, and one that only grows."""

from collections.abc import Mapping

from prometheus_client import Gauge

Labels = tuple[str, ...]


class Exactly:
    """A gauge with just the series it was told last: what is gone, or no longer known, is not exported."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge, self._shown = gauge, set[Labels]()

    def show(self, values: Mapping[Labels, float]) -> None:
        """These and no others. Those that stay are never missing meanwhile."""
        for labels, value in values.items():
            self._gauge.labels(*labels).set(value)
        for labels in self._shown - values.keys():
            self._gauge.remove(*labels)
        self._shown = set(values)


class GreatestValue:
    """A series of the greatest value it was told; none before the first."""

    def __init__(self, gauge: Gauge, *labels: str) -> None:
        self._gauge, self._labels, self._greatest = gauge, labels, float("-inf")

    def saw(self, value: float) -> None:
        """Take note of a value."""
        if value > self._greatest:
            self._greatest = value
            self._gauge.labels(*self._labels).set(value)
