"""`tideline contain`: what is done to a part of the pipeline while it is in trouble, by hand."""

import re
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import DEFAULT_HOME, DomainOption, HomeOption, JsonOption, ProfileOption, settings

if TYPE_CHECKING:
    from pipeline.records import Containment
    from pipeline.settings import Settings

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _seconds(text: str) -> int:
    """`90s`, `10m`, `2h` or `1d`, in seconds."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None or not int(found[1]):
        raise typer.BadParameter(f"{text}: give a time such as 90s, 10m, 2h or 1d")
    return int(found[1]) * _UNITS[found[2]]


class Shed(StrEnum):
    """What becomes of the posts of a tier."""

    PARTIAL = "partial"
    PULL = "pull"


class Path(StrEnum):
    """One of the two ways to a reader."""

    PUSH = "push"
    PULL = "pull"


class Off(StrEnum):
    """All that can be done to a path: `release` turns it on again."""

    OFF = "off"


class Repair(StrEnum):
    """A stage that can wait."""

    BACKFILL = "backfill"
    RETRACT = "retract"


ForOption = Annotated[
    str,
    typer.Option(
        "--for", metavar="TIME", help="Until it ends by itself: 90s, 10m, 2h, 1d. By default never."
    ),
]
ReasonOption = Annotated[str, typer.Option(help="Why, for whoever reads the journal.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say whom it would touch, and do nothing.")]
AuthorArgument = Annotated[int, typer.Argument(metavar="AUTHOR", help="The id of the author.")]
TierArgument = Annotated[str, typer.Argument(metavar="TIER", help="small, medium, large …")]
RateArgument = Annotated[
    int, typer.Argument(metavar="POSTS", min=1, help="Posts a minute that are still pushed.")
]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    contain = typer.Typer(
        no_args_is_help=True,
        help="Protect ordinary readers: what is not pushed is pulled, and nothing is lost.",
    )
    for command in (shed, pull, rate, pace, freeze, path, defer, narrow, release, listing, journal):
        contain.command("list" if command is listing else command.__name__)(command)
    app.add_typer(contain, name="contain")


def shed(
    tier: TierArgument,
    to: Annotated[
        Shed, typer.Option("--class", help="partial: warm edges are pushed; pull: nobody.")
    ] = Shed.PARTIAL,
    lasts: ForOption = "",
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Push the new posts of a tier's authors to warm edges alone; everybody else pulls them."""
    given = settings(home=home, profile=profile, domain=domain)
    _do(given, "shed", tier, to, lasts=lasts, reason=reason, dry_run=dry_run, json=json)


def pull(
    author: AuthorArgument,
    lasts: ForOption = "",
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Have an author's new posts pulled."""
    given = settings(home=home, profile=profile, domain=domain)
    _do(given, "pull", str(author), lasts=lasts, reason=reason, dry_run=dry_run, json=json)


def rate(
    author: AuthorArgument,
    posts: RateArgument,
    lasts: ForOption = "",
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Push so many posts of an author a minute; the others are pulled."""
    given = settings(home=home, profile=profile, domain=domain)
    _do(given, "rate", str(author), rate=posts, lasts=lasts, reason=reason, dry_run=dry_run, json=json)


def pace(
    region: Annotated[str, typer.Argument(metavar="REGION", help="As posts have it.")],
    posts: RateArgument,
    lasts: ForOption = "",
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Push so many posts of a region a minute; the others are pulled."""
    given = settings(home=home, profile=profile, domain=domain)
    _do(given, "pace", region, rate=posts, lasts=lasts, reason=reason, dry_run=dry_run, json=json)


def freeze(
    tier: TierArgument,
    lasts: ForOption = "",
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Stop a tier's writers. New posts are pulled; what waits is not delivered until it is released."""
    given = settings(home=home, profile=profile, domain=domain)
    _do(given, "freeze", tier, lasts=lasts, reason=reason, dry_run=dry_run, json=json)


def path(
    state: Annotated[Off, typer.Argument(metavar="off", help="`release path push` turns it on again.")],
    which: Annotated[Path, typer.Argument(metavar="push|pull", help="Which path.")],
    lasts: ForOption = "",
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Turn a path off: nothing is pushed, or nothing is pulled and pages say what they lack."""
    given = settings(home=home, profile=profile, domain=domain)
    _do(given, "path", which, lasts=lasts, reason=reason, dry_run=dry_run, json=json)


def defer(
    stage: Annotated[Repair, typer.Argument(help="Which repairs wait.")],
    lasts: ForOption = "",
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Have repairs wait; pages pull what they have not written, and hide what they have not removed."""
    given = settings(home=home, profile=profile, domain=domain)
    _do(given, "defer", stage, lasts=lasts, reason=reason, dry_run=dry_run, json=json)


def narrow(
    lasts: ForOption = "",
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Make ranked pages cheaper: fewer candidates, no live counters."""
    given = settings(home=home, profile=profile, domain=domain)
    _do(given, "narrow", "reads", lasts=lasts, reason=reason, dry_run=dry_run, json=json)


def release(
    kind: Annotated[str, typer.Argument(help="shed, pull, rate, pace, freeze, path, defer or narrow.")],
    target: Annotated[str, typer.Argument(help="As `contain list` shows it.")] = "reads",
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
) -> None:
    """Take back what is in force, whoever put it there. The controller acts again if the tier is behind."""
    import asyncio

    from pipeline.cli.running import names_of
    from pipeline.domain.containment import OPERATOR
    from pipeline.local.instance import kafka_of
    from pipeline.ops import containment

    given = settings(home=home, profile=profile, domain=domain)
    taken = asyncio.run(containment.release(kafka_of(given), kind, target, OPERATOR, names_of(given)))
    typer.echo(f"{taken.kind} {taken.target}: released; it was {taken.cause}", err=True)


def listing(
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Show what is in force, by whom, why and until when."""
    from pipeline.cli.running import names_of, print_json, print_table
    from pipeline.local.instance import kafka_of
    from pipeline.ops import containment

    given = settings(home=home, profile=profile, domain=domain)
    found = containment.read(kafka_of(given), names_of(given), now_ms=_now_ms())
    if json:
        print_json([containment.document(one) for one in found])
        return
    rows = [
        (
            one.kind,
            one.target,
            one.author_class,
            _clock(one.since),
            _clock(one.until) or "released",
            one.by,
            one.cause,
        )
        for one in found
    ]
    print_table(_table(("kind", "target", "class", "since", "until", "by", "cause"), rows))
    if not found:
        typer.echo("nothing is in force", err=True)


def journal(
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="The newest N.")] = 50,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Show what was done, by whom and why, oldest first."""
    from dataclasses import asdict

    from pipeline.cli.running import names_of, print_json, print_table
    from pipeline.local.instance import kafka_of
    from pipeline.ops import containment

    given = settings(home=home, profile=profile, domain=domain)
    found = containment.journal(kafka_of(given), limit, names_of(given))
    if json:
        print_json([asdict(one) for one in found])
        return
    rows = [(_clock(one.at), one.event, one.kind, one.target, one.by, one.cause) for one in found]
    print_table(_table(("at", "event", "kind", "target", "by", "cause"), rows))


def _do(
    given: "Settings",
    kind: str,
    target: str,
    to: str = "pull",
    *,
    rate: int = 0,
    lasts: str,
    reason: str,
    dry_run: bool,
    json: bool,
) -> None:
    """Put it in force, or say what that would be."""
    import asyncio

    from pipeline.cli.running import names_of, print_json, topology_of
    from pipeline.domain.containment import OPERATOR, Kind
    from pipeline.local.instance import kafka_of
    from pipeline.ops import containment
    from pipeline.records import AuthorClass, Containment

    now = _now_ms()
    until = now + 1000 * _seconds(lasts) if lasts else 0
    containment.check(Kind(kind), target, topology_of(given))
    cause = reason or "by an operator"
    record = Containment(kind, str(target), AuthorClass(to), rate, cause, OPERATOR, now, until)
    radius = _radius(given, record) if dry_run else {}
    if not dry_run:
        asyncio.run(containment.put(kafka_of(given), record, names_of(given)))
    if json:
        print_json({**containment.document(record), "done": not dry_run, "radius": radius or None})
        return
    for name, value in radius.items():
        typer.echo(f"{name.replace('_', ' '):<24} {'unknown' if value is None else value}")
    ends = f"until {_clock(until)}" if until else f"until `tideline contain release {kind} {target}`"
    done = "would be in force" if dry_run else "in force"
    typer.echo(f"{kind} {target}: {done} {ends}", err=True)


def _radius(given: "Settings", record: "Containment") -> dict[str, Any]:
    import asyncio

    from pipeline.cli.running import keyspace_of, names_of, topology_of
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import endpoints_of, kafka_of
    from pipeline.ops import blast, health_topic
    from pipeline.ops.lag import Lag
    from pipeline.store.cassandra import open_stores

    topology = topology_of(given)
    if record.kind in ("pull", "rate"):

        async def ask() -> dict[str, Any]:
            async with open_stores(endpoints_of(given).cassandra, keyspace_of(given)) as stores:
                return await blast.of_author(stores, topology, record)

        return asyncio.run(ask())
    with Offsets(kafka_of(given)) as offsets:
        lags = {one.stage: one for one in Lag(offsets, topology, now_ms=_now_ms).snapshot()}
    if record.kind in ("shed", "freeze"):
        health = health_topic.newest(kafka_of(given), names_of(given)).get(f"fanout.{record.target}")
        return blast.of_tier(topology, record, lags, health)
    return blast.of_stage(record, lags)


def _table(titles: tuple[str, ...], rows: "list[tuple[Any, ...]]") -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))
    return table


def _clock(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000)) if at_ms else ""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
