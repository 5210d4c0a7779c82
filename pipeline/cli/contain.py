"""`tideline contain`: what is done to a part of the pipeline while it is in trouble, by hand."""

from enum import StrEnum
from typing import Annotated

import typer

from pipeline.cli._containing import clock, contain, now_ms, table
from pipeline.cli.options import DEFAULT_HOME, DomainOption, HomeOption, JsonOption, ProfileOption, settings


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
    group = typer.Typer(
        no_args_is_help=True,
        help="Protect ordinary readers: what is not pushed is pulled, and nothing is lost.",
    )
    for command in (shed, pull, rate, pace, freeze, path, defer, narrow, release, listing, journal):
        group.command("list" if command is listing else command.__name__)(command)
    app.add_typer(group, name="contain")


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
    contain(given, "shed", tier, to, lasts=lasts, reason=reason, dry_run=dry_run, json=json)


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
    contain(given, "pull", str(author), lasts=lasts, reason=reason, dry_run=dry_run, json=json)


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
    contain(given, "rate", str(author), rate=posts, lasts=lasts, reason=reason, dry_run=dry_run, json=json)


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
    contain(given, "pace", region, rate=posts, lasts=lasts, reason=reason, dry_run=dry_run, json=json)


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
    contain(given, "freeze", tier, lasts=lasts, reason=reason, dry_run=dry_run, json=json)


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
    contain(given, "path", which, lasts=lasts, reason=reason, dry_run=dry_run, json=json)


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
    contain(given, "defer", stage, lasts=lasts, reason=reason, dry_run=dry_run, json=json)


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
    contain(given, "narrow", "reads", lasts=lasts, reason=reason, dry_run=dry_run, json=json)


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
    found = containment.read(kafka_of(given), names_of(given), now_ms=now_ms())
    if json:
        print_json([containment.document(one) for one in found])
        return
    rows = [
        (
            one.kind,
            one.target,
            one.author_class,
            clock(one.since),
            clock(one.until) or "released",
            one.by,
            one.cause,
        )
        for one in found
    ]
    print_table(table(("kind", "target", "class", "since", "until", "by", "cause"), rows))
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
    rows = [(clock(one.at), one.event, one.kind, one.target, one.by, one.cause) for one in found]
    print_table(table(("at", "event", "kind", "target", "by", "cause"), rows))
