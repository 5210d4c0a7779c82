"""`tideline drain`: a tier without work."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import (
    DEFAULT_HOME,
    AskedProfileOption,
    DomainOption,
    HomeOption,
    JsonOption,
    settings,
)
from pipeline.cli.running import echo, print_json, topology_of

if TYPE_CHECKING:
    from pipeline.control.lag import StageLag


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("drain")(drain)


def drain(
    tier: Annotated[str, typer.Argument(metavar="TIER", help="small, medium, large …")],
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, max=86_400, help="Give up after this.")
    ] = 600,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Put no new work into a tier, wait until it is empty, and let new work in again.

    Meanwhile new posts of its authors are pulled, so that no reader misses one. However it ends, new work is
    let in again: at the latest with the timeout, also when this command is killed. To keep it out for longer,
    `tideline contain shed TIER --class pull` first: what was in force before stays so.
    """
    import asyncio

    from pipeline.cli.meter import Meter
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import kafka_of
    from pipeline.ops.drain import drain as emptied

    given = settings(home=home, profile=profile, domain=domain)
    started, most = time.monotonic(), 0
    with Offsets(kafka_of(given)) as offsets, Meter("Draining") as meter:

        def told(seen: "StageLag") -> None:
            nonlocal most
            left = seen.lag or 0
            most = max(most, left)
            meter.show(most - left, "unknown" if seen.lag is None else f"{left:,} tasks left", total=most)

        asyncio.run(emptied(kafka_of(given), topology_of(given), tier, offsets, timeout, told))
    took = time.monotonic() - started
    if json:
        print_json({"tier": tier, "tasks": most, "seconds": round(took, 1)})
    echo(f"{tier} was empty after {took:.1f} s; new work goes in again", err=True)
