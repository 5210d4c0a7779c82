"""The consumer groups of a topology: who is in each, with which partitions, and how far behind it is."""

from collections.abc import Mapping, Sequence

from pipeline.config.names import Names
from pipeline.control.lag import StageLag
from pipeline.kafka.groups import Group

CONTROLLERS = "tideline.controller"
"""The group of those who may act: whoever has its only partition does. It processes nothing."""

GONE = Group("unknown")


def with_controllers(stages: Sequence[StageLag], names: Names) -> list[StageLag]:
    """The groups that process something, and that of the controllers, which is never behind."""
    return [*stages, StageLag("controller", names.group(CONTROLLERS), None, ())]


def document(stages: Sequence[StageLag], groups: Mapping[str, Group]) -> list[dict[str, object]]:
    """What `tideline groups --json` prints: null is unknown, and nothing else is."""
    return [
        {
            "group": stage.group,
            "stage": stage.stage,
            "state": groups.get(stage.group, GONE).state,
            "lag": stage.lag,
            "age_seconds": stage.age_s,
            "unknown_partitions": stage.unknown,
            "members": [
                {
                    "client_id": member.client_id,
                    "host": member.host,
                    "partitions": [
                        {"topic": topic, "partition": number} for topic, number in member.partitions
                    ],
                }
                for member in groups.get(stage.group, GONE).members
            ],
        }
        for stage in stages
    ]
