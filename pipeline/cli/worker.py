"""`tideline worker`: one stage in this process, as the supervisor and orchestrators start it."""

import os
from typing import Annotated

import typer

from pipeline.cli.options import DEFAULT_HOME, HomeOption, ProfileOption, settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("worker")(worker)


def worker(
    stage: Annotated[
        str,
        typer.Argument(
            metavar="[DOMAIN/]STAGE",
            help="graph, readers, policy, classify, fanout.TIER, query, api, auditor or controller.",
        ),
    ],
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
) -> None:
    """Run one stage in this process until SIGTERM; `tideline run` starts all of them."""
    from pipeline.local import lifeline

    if lifeline.VARIABLE in os.environ:  # before anything slow: the supervisor may be gone already
        lifeline.hold()

    from pipeline import names, topology
    from pipeline import worker as body
    from pipeline.local.instance import endpoints_of

    given = settings(home=home, profile=profile)
    endpoints = endpoints_of(given)
    domain, name = names.split(stage)
    wanted = topology.load(given.topology, given.profile).of(domain)
    body.run(name, given, endpoints.kafka, endpoints.cassandra, wanted)
