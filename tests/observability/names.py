"""Which series there are: those of pipeline/telemetry/metrics.py, `up`, and what the rules record."""

from pipeline.telemetry import metrics
from tests.observability.promql import asked

OF_TARGETS = {"domain", "worker", "number", "job", "instance"}
"""The labels that Prometheus adds: those of pipeline/local/targets.py, and its own."""

OF_SLOTH = {"sloth_id", "sloth_service", "sloth_slo", "sloth_window"}
PARTS = {"histogram": {"_bucket": {"le"}, "_count": set(), "_sum": set()}}


def series():
    """By the name of a series, the labels it has."""
    found = {"up": OF_TARGETS}
    for one in metrics.DESCRIBED:
        for part, more in PARTS.get(one.kind, {"": set()}).items():
            found[one.name + part] = {*one.labels, *more, *OF_TARGETS}
    return found


def unknown(expression, known):
    """What an expression asks for that is not there: metrics, labels of a metric, labels of any."""
    asks = list(asked(expression))
    has = set().union(*(known.get(one.metric, set()) for one in asks))
    return [
        (one.metric, sorted(one.labels - (known.get(one.metric, set()) if one.metric else has)))
        for one in asks
        if (one.metric and one.metric not in known)
        or not one.labels <= (known.get(one.metric, set()) if one.metric else has)
    ]
