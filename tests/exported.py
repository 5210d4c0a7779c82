"""What this process exports, as Prometheus would see it."""

from prometheus_client import REGISTRY, generate_latest

PREFIXES = ("tideline_", "kafka_")


def value(name, **labels):
    """The sample with exactly these labels; None: there is none."""
    return REGISTRY.get_sample_value(name, labels)


def values(name):
    """Every sample of this name, by its labels' values."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == name
    }


class Counted:
    """How much a counter has grown since this was made; what other tests counted is not in it."""

    def __init__(self, name, **labels):
        self._name, self._labels = name, labels
        self._before = self._now()

    def _now(self):
        return value(self._name, **self._labels) or 0.0

    def __call__(self):
        return self._now() - self._before


def families():
    """Name and type of every metric of the product, read from what is served at /metrics."""
    lines = generate_latest(REGISTRY).decode().splitlines()
    types = (line.split()[2:] for line in lines if line.startswith("# TYPE "))
    return {name: kind for name, kind in types if name.startswith(PREFIXES)}
