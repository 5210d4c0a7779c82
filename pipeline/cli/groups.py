"""`tideline groups`: who works in each consumer group, on what, and how far behind the group is."""

from typing import TYPE_CHECKING

import typer

from pipeline.cli.options import (
    DEFAULT_HOME,
    AskedProfileOption,
    DomainOption,
    HomeOption,
    JsonOption,
    settings,
)
from pipeline.cli.running import print_json, print_table, topology_of
from pipeline.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.cli._tables import Table
    from pipeline.control.lag import StageLag
    from pipeline.kafka.groups import Group, Member


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("groups")(groups)


def groups(
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Show every consumer group of the topology: its state, its lag, and its members with their partitions.

    A group is `empty` when nobody is in it, `dead` when nobody ever was or its offsets are gone, and
    `unknown` when Kafka does not say. Of the controllers, the one with the partition acts.
    """
    from pipeline.control.groups import document, with_controllers
    from pipeline.control.lag import Lag
    from pipeline.kafka.groups import described
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import kafka_of

    given = settings(home=home, profile=profile, domain=domain)
    kafka, topology = kafka_of(given), topology_of(given)
    with Offsets(kafka) as offsets:
        looking = Lag(offsets, topology, now_ms=now_ms)
        stages = with_controllers(looking.snapshot(), topology.names)
    found = described(kafka, [stage.group for stage in stages])
    if json:
        print_json(document(stages, found))
    else:
        print_table(_table(stages, found))


def _table(stages: "Sequence[StageLag]", groups: "Mapping[str, Group]") -> "Table":
    from pipeline.cli._lag_shown import age, number
    from pipeline.cli._tables import Table

    table = Table("group", "state", box=None, pad_edge=False)
    for title in ("lag", "oldest"):
        table.add_column(title, justify="right")
    for title in ("member", "host", "partitions"):
        table.add_column(title)
    for stage in stages:
        group = groups[stage.group]
        table.add_row(
            stage.group, group.state, number(stage.lag), age(stage.age_s), *_member(group.members[:1])
        )
        for at in range(1, len(group.members)):
            table.add_row("", "", "", "", *_member(group.members[at : at + 1]))
    return table


def _member(members: "Sequence[Member]") -> tuple[str, ...]:
    """The cells of a member, if there is one."""
    return next(((one.client_id, one.host, _places(one)) for one in members), ("", "", ""))


def _places(member: "Member") -> str:
    """By topic, its partitions: `posts 0 1 2`."""
    topics = dict.fromkeys(topic for topic, _ in member.partitions)
    return ", ".join(
        " ".join([topic, *(str(number) for of, number in member.partitions if of == topic)])
        for topic in topics
    )
