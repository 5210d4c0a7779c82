"""`tideline worker`: one stage in this process, as the supervisor and orchestrators start it."""

import os
from contextlib import suppress
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
            help="graph, readers, moderation, classify, fanout.TIER, query, api, auditor or controller.",
        ),
    ],
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
) -> None:
    """Run one stage in this process until SIGTERM; `tideline run` starts all of them."""
    from pipeline.local import lifeline

    if lifeline.VARIABLE in os.environ:  # before anything slow: the supervisor may be gone already
        lifeline.hold()

    from pipeline import topology
    from pipeline.config import names
    from pipeline.local.instance import NoInstanceError, endpoints_of, find
    from pipeline.runtime import worker as body

    given = settings(home=home, profile=profile)
    endpoints = endpoints_of(given)
    domain, name = names.split(stage)
    if not given.api:  # an auditor that is started by hand asks the API of the instance that runs here
        with suppress(NoInstanceError):
            given = given.model_copy(update={"api": find(given.home).api_of(domain)})
    wanted = topology.load(given.topology, given.profile).of(domain)
    body.run(name, given, endpoints.kafka, endpoints.cassandra, wanted)
