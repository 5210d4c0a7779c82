"""Lag as metrics, from one look at the broker; exported by one process, the controller that acts."""

from collections.abc import Sequence

from pipeline.control.lag import StageLag
from pipeline.telemetry import metrics
from pipeline.telemetry.gauges import Exactly, Labels

CLUSTER = "tideline"
"""The label `cluster_name`, which dashboards made for kafka-lag-exporter ask for."""

_lag, _lag_s = Exactly(metrics.GROUP_LAG), Exactly(metrics.GROUP_LAG_SECONDS)
_ends, _oldest = Exactly(metrics.LATEST_OFFSET), Exactly(metrics.OLDEST_UNPROCESSED)


def export(stages: Sequence[StageLag]) -> None:
    """Show these stages and nothing else; none: this process no longer tells.

    A partition that could not be read has no series, one that is gone loses its own.
    """
    lag: dict[Labels, float] = {}
    lag_s: dict[Labels, float] = {}
    ends: dict[Labels, float] = {}
    oldest: dict[Labels, float] = {}
    for stage in stages:
        for one in stage.partitions:
            partition = str(one.partition)
            group = (CLUSTER, stage.group, one.topic, partition)
            if one.lag is not None and stage.group:  # the API follows without a group
                lag[group] = one.lag
            if one.age_s is not None and stage.group:
                lag_s[group] = one.age_s
            if one.end is not None:
                ends[CLUSTER, one.topic, partition] = one.end
            if one.oldest_ms is not None:
                oldest[stage.stage, one.topic, partition] = one.oldest_ms / 1000
    _lag.show(lag)
    _lag_s.show(lag_s)
    _ends.show(ends)
    _oldest.show(oldest)
