"""`tideline contain`: what is done to a part of the pipeline while it is in trouble, by hand."""

import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, NamedTuple

import typer

from pipeline.cli._containing import contain, in_force_table, stages_now, table
from pipeline.cli.options import (
    DEFAULT_HOME,
    AskedProfileOption,
    DomainOption,
    HomeOption,
    JsonOption,
    settings,
)
from pipeline.cli.running import echo, local_time, names_of, print_json, print_table
from pipeline.clock import now_ms


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


class Wanted(NamedTuple):
    """What a command is to put in force: to whom, the class of their posts, what they still may."""

    target: str
    author_class: str = "pull"
    rate_per_minute: int = 0
    bytes_per_second: int = 0


AuthorArgument = Annotated[int, typer.Argument(metavar="AUTHOR", help="The id of the author.")]
TierArgument = Annotated[str, typer.Argument(metavar="TIER", help="small, medium, large …")]
RateArgument = Annotated[
    int, typer.Argument(metavar="POSTS", min=1, help="Posts a minute that are still pushed.")
]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Protect ordinary readers: what is not pushed is pulled, and nothing is lost.",
    )
    for wanted in (shed, pull, rate, pace, freeze, path, defer, narrow, throttle):
        group.command(wanted.__name__)(_putting_in_force(wanted))
    group.command("release")(release)
    group.command("list")(listing)
    group.command("journal")(journal)
    app.add_typer(group, name="contain")


def _shared(
    lasts: Annotated[
        str,
        typer.Option(
            "--for", metavar="TIME", help="Until it ends by itself: 90s, 10m, 2h, 1d. By default never."
        ),
    ] = "",
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the journal.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say whom it would touch, and do nothing.")
    ] = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """The options of every command that puts something in force."""


def _putting_in_force(wanted: Callable[..., Wanted]) -> Callable[..., None]:
    """The command that puts in force what `wanted` says: its own parameters, and those all share."""
    own, shared = inspect.signature(wanted).parameters, inspect.signature(_shared).parameters

    def command(**given: object) -> None:
        what = wanted(**{name: value for name, value in given.items() if name in own})
        where = settings(**{name: given.pop(name) for name in ("home", "profile", "domain")})
        options = {name: value for name, value in given.items() if name in shared}
        contain(where, wanted.__name__, *what, **options)  # type: ignore[arg-type]  # typer has checked them

    command.__doc__ = wanted.__doc__
    command.__signature__ = inspect.Signature([*own.values(), *shared.values()])  # type: ignore[attr-defined]
    command.__annotations__ = wanted.__annotations__ | _shared.__annotations__
    return command


def shed(
    tier: TierArgument,
    to: Annotated[
        Shed, typer.Option("--class", help="partial: warm edges are pushed; pull: nobody.")
    ] = Shed.PARTIAL,
) -> Wanted:
    """Push the new posts of a tier's authors to warm edges alone; everybody else pulls them."""
    return Wanted(tier, to)


def pull(author: AuthorArgument) -> Wanted:
    """Have an author's new posts pulled."""
    return Wanted(str(author))


def rate(author: AuthorArgument, posts: RateArgument) -> Wanted:
    """Push so many posts of an author a minute; the others are pulled."""
    return Wanted(str(author), rate_per_minute=posts)


def pace(
    region: Annotated[str, typer.Argument(metavar="REGION", help="As posts have it.")], posts: RateArgument
) -> Wanted:
    """Push so many posts of a region a minute; the others are pulled."""
    return Wanted(region, rate_per_minute=posts)


def freeze(tier: TierArgument) -> Wanted:
    """Stop a tier's writers. New posts are pulled; what waits is not delivered until it is released."""
    return Wanted(tier)


def path(
    state: Annotated[Off, typer.Argument(metavar="off", help="`release path push` turns it on again.")],
    which: Annotated[Path, typer.Argument(metavar="push|pull", help="Which path.")],
) -> Wanted:
    """Turn a path off: nothing is pushed, or nothing is pulled and pages say what they lack."""
    return Wanted(which)


def defer(stage: Annotated[Repair, typer.Argument(help="Which repairs wait.")]) -> Wanted:
    """Have repairs wait; pages pull what they have not written, and hide what they have not removed."""
    return Wanted(stage)


def narrow() -> Wanted:
    """Make ranked pages cheaper: fewer candidates, no live counters."""
    return Wanted("reads")


def throttle(
    user: Annotated[
        str,
        typer.Argument(metavar="USER", help="As the broker knows it; without logins, a client.id."),
    ],
    size: Annotated[
        int, typer.Argument(metavar="BYTES", min=1, help="A second, that each broker still takes.")
    ],
) -> Wanted:
    """Have the broker slow what a user sends: it waits, nothing is refused, and no other user is touched."""
    return Wanted(user, bytes_per_second=size)


def release(
    kind: Annotated[
        str, typer.Argument(help="shed, pull, rate, pace, freeze, path, defer, narrow or throttle.")
    ],
    target: Annotated[str, typer.Argument(help="As `contain list` shows it.")] = "reads",
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
) -> None:
    """Take back what is in force, whoever put it there. The controller acts again if the tier is behind."""
    import asyncio

    from pipeline.domain.containment import OPERATOR
    from pipeline.local.instance import kafka_of
    from pipeline.ops import containment

    given = settings(home=home, profile=profile, domain=domain)
    for one in asyncio.run(containment.release(kafka_of(given), kind, target, OPERATOR, names_of(given))):
        echo(f"{one.kind} {one.target}: released; it was {one.cause}, by the {one.by}", err=True)


def listing(
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Show what is in force, by whom, why and until when, and how the tier or stage it is for stands now."""
    from pipeline.local.instance import kafka_of
    from pipeline.ops import containment

    given = settings(home=home, profile=profile, domain=domain)
    found = containment.read(kafka_of(given), names_of(given), now_ms=now_ms())
    now = stages_now(given, found)
    if json:
        print_json([containment.document(one, now.get(containment.stage_of(one))) for one in found])
        return
    print_table(in_force_table(found, now))
    if not found:
        echo("nothing is in force", err=True)


def journal(
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="The newest N.")] = 50,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Show what was done, by whom and why, oldest first."""
    from dataclasses import asdict

    from pipeline.local.instance import kafka_of
    from pipeline.ops import containment

    given = settings(home=home, profile=profile, domain=domain)
    found = containment.journal(kafka_of(given), limit, names_of(given))
    if json:
        print_json([asdict(one) for one in found])
        return
    rows = [(local_time(one.at), one.event, one.kind, one.target, one.by, one.cause) for one in found]
    print_table(table(("at", "event", "kind", "target", "by", "cause"), rows))
