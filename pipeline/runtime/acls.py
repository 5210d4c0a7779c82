"""The permissions that a topology names, held against those there are.

The principals that `topology/acls.yaml` names are its own: what they have beyond it is taken away. Of others
nothing is changed. The home feed and every domain go together, as one principal works for all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.kafka.acls import CLUSTER, Acl, Acls
from pipeline.topology import Topology


@dataclass(frozen=True, slots=True)
class AclPlan:
    """What is to be added and removed, in order. Falsy when there is nothing of either."""

    add: tuple[Acl, ...]
    remove: tuple[Acl, ...]

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)

    def lines(self) -> list[str]:
        """What `kafka-acls` would be told."""
        added = [f"kafka-acls --add {acl}" for acl in self.add]
        return added + [f"kafka-acls --remove --force {acl}" for acl in self.remove]


def wanted(topology: Topology) -> set[Acl]:
    """Every permission of the home feed and its domains."""
    return {acl for each in (topology, *topology.domains.values()) for acl in _of(each)}


def _of(topology: Topology) -> Iterator[Acl]:
    names = topology.names
    for role in topology.acls.values():
        for principal in role.principals:
            for resource, called, allowed in (
                ("topic", names.topic, role.topics),
                ("group", names.group, role.groups),
            ):
                for operation, patterns in allowed.items():
                    for pattern in patterns:
                        name = pattern.removesuffix("*")
                        prefixed = pattern != name and name != ""
                        name = called(name) if name else "*"
                        yield Acl(principal, resource, name, prefixed, operation)
            yield from (Acl(principal, "cluster", CLUSTER, False, each) for each in role.cluster)


def compare(topology: Topology, acls: Acls) -> AclPlan:
    """What `apply` would do. Changes nothing."""
    want = wanted(topology)
    found = acls.of(principals(topology))
    return AclPlan(tuple(sorted(want - found)), tuple(sorted(found - want)))


def apply(topology: Topology, acls: Acls) -> AclPlan:
    """Bring the cluster to the topology; returns what was done. Adds before it removes."""
    plan = compare(topology, acls)
    acls.add(plan.add)
    acls.remove(plan.remove)
    return plan


def principals(topology: Topology) -> set[str]:
    """Everybody whom the topology names."""
    every = (topology, *topology.domains.values())
    return {one for each in every for role in each.acls.values() for one in role.principals}
