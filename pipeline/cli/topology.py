"""`tideline topology`: what the files say, against each other and against a running cluster."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import DEFAULT_HOME, DomainOption, HomeOption, JsonOption, ProfileOption, settings
from pipeline.cli.running import echo, print_json

if TYPE_CHECKING:
    from pipeline.runtime.topology_apply import Cluster
    from pipeline.runtime.topology_plan import TopologyPlan
    from pipeline.topology import Topology

CHANGES = 3
"""Exit code of `diff` and `acls` with `--fail-on-changes` when the cluster differs."""

FailOption = Annotated[
    bool, typer.Option("--fail-on-changes", help=f"Exit with {CHANGES} when the cluster differs.")
]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    topology = typer.Typer(no_args_is_help=True, help="Topics, stages, tiers, routing and tables as files.")
    topology.command("validate")(validate)
    topology.command("diff")(diff)
    topology.command("apply")(apply)
    topology.command("acls")(acls)
    topology.command("observability")(observability)
    app.add_typer(topology, name="topology")


def validate(profile: ProfileOption = "default", json: JsonOption = False) -> None:
    """Check the files alone, with every domain: types, names, thresholds, and that its model is installed.

    Every problem is a line FILE:LINE: key: reason.
    """
    from pipeline import topology
    from pipeline.errors import ConfigError
    from pipeline.runtime import ranker

    given = settings(profile=profile)
    try:
        loaded = topology.load(given.topology, given.profile)
        for one in (loaded, *loaded.domains.values()):
            ranker.load(one.ranking)
    except ConfigError as error:
        if json:
            _print({"valid": False, "problems": error.message.splitlines()})
        raise
    if json:
        _print({"valid": True, "problems": []})
    else:
        parts = f"{len(loaded.topics)} topics, {len(loaded.stages)} stages, {len(loaded.tiers)} tiers"
        if loaded.domains:
            parts += f"; domains: {', '.join(loaded.domains)}"
        echo(f"{loaded.folder}, profile {loaded.profile}: valid: {parts}")


def diff(
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    fail_on_changes: FailOption = False,
    json: JsonOption = False,
) -> None:
    """Show what `apply` would change, and what only you can. Changes nothing."""
    import asyncio

    from pipeline.runtime.topology_apply import compare

    plan = asyncio.run(compare(*_target(home, profile, domain)))
    _tell(plan, json=json, done="")
    if plan and fail_on_changes:
        raise typer.Exit(CHANGES)


def apply(
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask the broker whether it would; change nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Create what is missing and change the settings the files name; remove and shrink nothing.

    Refuses, before the first change, when something is there that cannot be changed into what is wanted.
    """
    import asyncio

    from pipeline.runtime import topology_apply

    plan = asyncio.run(topology_apply.apply(*_target(home, profile, domain), dry_run=dry_run))
    _tell(plan, json=json, done="not done, a dry run" if dry_run else "done")


def acls(
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    execute: Annotated[bool, typer.Option("--execute", help="Do it.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every permission, without asking the cluster.")
    ] = False,
    fail_on_changes: FailOption = False,
    json: JsonOption = False,
) -> None:
    """Show how the permissions on Kafka differ from `acls.yaml`, as lines for `kafka-acls`.

    Of the home feed and every domain together. Changes nothing without `--execute`. What a principal of the
    file has beyond it is taken away; other principals are left alone.
    """
    from pipeline import topology
    from pipeline.kafka.acls import Acls
    from pipeline.local.instance import kafka_of
    from pipeline.runtime import acls as permissions

    given = settings(home=home, profile=profile)
    loaded = topology.load(given.topology, given.profile)
    if every:
        plan = permissions.AclPlan(tuple(sorted(permissions.wanted(loaded))), ())
    else:
        plan = (permissions.apply if execute else permissions.compare)(loaded, Acls(kafka_of(given)))
    if json:
        _print({"add": [*map(_row, plan.add)], "remove": [*map(_row, plan.remove)], "executed": execute})
    else:
        echo(*plan.lines())
    if not every:
        said = "done" if execute else "not done: --execute does it"
        echo(f"{len(plan.lines())} changes {said}" if plan else "no differences", err=True)
    if plan and fail_on_changes and not execute:
        raise typer.Exit(CHANGES)


def observability(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Gets rules/ and dashboards/.")],
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Write Prometheus' rules for these lag budgets and objectives, and Grafana's dashboards, into a folder.

    Prints the files. Those of the shipped topology are in topology/observability.
    """
    from pipeline import topology
    from pipeline.ops.observability.files import write

    given = settings(profile=profile)
    written = write(topology.load(given.topology, given.profile), folder)
    if json:
        _print({"written": [str(path) for path in written]})
    else:
        for path in written:
            echo(path)


def _target(home: Any, profile: str, domain: str) -> "tuple[Topology, Cluster]":
    from pipeline import topology
    from pipeline.local.instance import endpoints_of
    from pipeline.runtime.topology_apply import Cluster

    given = settings(home=home, profile=profile, domain=domain)
    loaded = topology.load(given.topology, given.profile).of(given.domain)
    endpoints = endpoints_of(given)
    return loaded, Cluster(endpoints.kafka, endpoints.cassandra, given.keyspace, given.schema_registry_url)


def _tell(plan: "TopologyPlan", *, json: bool, done: str) -> None:
    """The plan as data on stdout, and a closing word on stderr."""
    if json:
        _print({"changes": list(map(_row, plan.changes)), "mismatches": list(map(_row, plan.mismatches))})
    else:
        for step in (*plan.changes, *plan.mismatches):
            echo(str(step))
    if not plan:
        echo("no differences", err=True)
    elif done:
        echo(f"{len(plan.changes)} changes {done}", err=True)


def _row(step: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {"kind": type(step).__name__, **asdict(step), "text": str(step)}


def _print(result: dict[str, Any]) -> None:
    print_json(result, indented=True)
