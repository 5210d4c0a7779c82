"""What runs: topics, stages, tiers, routing, ranking and tables, as `topology/` says it, typed and checked.

`load` reads a folder of seven YAML files, `tables.cql`, `profiles/` and `domains/`. It lays one profile over
them, and over that each domain, which runs beside the home feed under names of its own (`config.names`). It
refuses whatever would not run: unknown keys, wrong types, names that lead nowhere, thresholds that contradict
each other. In order: `tree` YAML with its line numbers · `files` what is laid over what · `specs` the types ·
`rules` what no type can say · `tables` the CQL · `load` all of it together.
"""

from pipeline.topology.load import Topology, load
from pipeline.topology.specs import (
    ApiSpec,
    CachesSpec,
    RankingSpec,
    RoleSpec,
    RoutingSpec,
    StageSpec,
    TierSpec,
    TopicSpec,
)

__all__ = [
    "ApiSpec",
    "CachesSpec",
    "RankingSpec",
    "RoleSpec",
    "RoutingSpec",
    "StageSpec",
    "TierSpec",
    "TopicSpec",
    "Topology",
    "load",
]
