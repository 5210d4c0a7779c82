"""`tideline bench`: measured comparisons, each on real engines of its own."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import JsonOption
from pipeline.cli.running import echo, print_json

if TYPE_CHECKING:
    from pipeline.bench.figures import BenchReport
    from pipeline.cli._tables import Table


def register(app: typer.Typer) -> None:
    """Add the command group."""
    bench = typer.Typer(no_args_is_help=True, help="Measured comparisons on real engines.")
    bench.command("fanout")(fanout)
    bench.command("reads")(reads)
    bench.command("burst")(burst)
    app.add_typer(bench, name="bench")


def fanout(
    rows: Annotated[int, typer.Option("--rows", min=1, help="Timeline rows of a turn.")] = 200_000,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Turns of each contender.")] = 3,
    followers: Annotated[int, typer.Option("--followers", min=1, help="Followers of each author.")] = 1_000,
    home: Annotated[
        Path | None,
        typer.Option("--home", help="Use the engines of this home.", show_default="a temporary home"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The fan-out writer against a bare driver loop and a plain row-at-a-time agent.

    Contenders take turns in one run, so that ratios hold on a machine whose speed moves. Uses engines of its
    own on a temporary home, or those of TIDELINE_KAFKA and TIDELINE_CASSANDRA.
    """
    from rich.console import Console

    from pipeline.bench import fanout as bench

    talk = Console(stderr=True, highlight=False)
    report = bench.run(
        rows=rows,
        followers=followers,
        rounds=rounds,
        home=home,
        progress=lambda text: talk.print(text, markup=False),
    )
    if as_json:
        print_json(report.as_json(), indented=True)
        return
    console = Console(highlight=False)
    console.print(_figures(report))
    console.print(_ratios(report))


def burst(
    seconds: Annotated[float, typer.Option("--seconds", metavar="N", min=30, help="Of each phase.")] = 45,
    json: JsonOption = False,
) -> None:
    """A celebrity's burst with the large tier throttled: what it costs ordinary authors, what is done.

    Exit code 3 when ordinary authors are later than 1.2 times the quiet run at p99, the controller acts
    later than 5 s after the breach, anything stays in force, or the audit finds a fault. Takes six minutes.
    """
    from pipeline.bench import burst as bench
    from pipeline.bench.demo_view import View
    from pipeline.bench.instance import place
    from pipeline.local.signals import interrupting

    try:
        with interrupting(), place(None) as pipeline, View() as view:
            found = bench.run(pipeline, seconds=seconds, view=view)
    except KeyboardInterrupt:
        echo("interrupted", err=True)
        raise typer.Exit(130) from None
    if json:
        print_json(found.document(), indented=True)
    else:
        echo(*bench.lines(found))
    raise typer.Exit(3 if found.problems else 0)


class Fault(StrEnum):
    """A fault that can be measured alone."""

    SLOW_AUTHOR = "slow-author"
    EMPTY_CACHES = "empty-caches"


def reads(
    readers: Annotated[int, typer.Option("--readers", min=1, help="Readers who ask at once.")] = 50,
    seconds: Annotated[
        int, typer.Option("--seconds", metavar="N", min=3, help="How long each contender is measured.")
    ] = 12,
    fault: Annotated[
        list[Fault] | None,
        typer.Option("--fault", help="Measure this fault alone.", show_default="everything"),
    ] = None,
    json: JsonOption = False,
    home: Annotated[
        Path | None,
        typer.Option(
            "--home", file_okay=False, resolve_path=True, help="An empty home; default: a temporary one."
        ),
    ] = None,
) -> None:
    """Pages of the real graph against a bare driver's read of one timeline partition, and with two faults.

    Runs a whole pipeline of its own, on which posts keep coming. Exit code 3 when a page costs more than it
    may, or a fault does more than it may. Takes about four minutes.
    """
    from rich.console import Console

    from pipeline.bench import reads as bench
    from pipeline.bench.instance import place
    from pipeline.cli import _reads_shown as shown
    from pipeline.local.signals import interrupting

    talk = Console(stderr=True, highlight=False)
    try:
        with interrupting(), place(home) as pipeline:
            figures = bench.run(
                pipeline,
                at_once=readers,
                seconds=seconds,
                only=[each.value for each in fault or ()],
                say=lambda text: talk.print(text, markup=False),
            )
    except KeyboardInterrupt:
        echo("interrupted", err=True)
        raise typer.Exit(130) from None
    if json:
        print_json(figures.document(), indented=True)
    else:
        shown.show(figures, Console(highlight=False))
    raise typer.Exit(3 if figures.problems else 0)


def _figures(report: "BenchReport") -> "Table":
    from rich.text import Text

    from pipeline.cli._tables import Table

    work = report.workload
    title = f"{work['rows']:,} rows a turn: {work['posts']:,} posts, {work['followers']:,} followers each"
    table = Table("contender", title=title)
    for heading in ("rows/s", "by round", "CPU-seconds", "CPU µs a row", "bytes a row"):
        table.add_column(heading, justify="right")
    for name, weight in report.bytes_a_row.items():
        table.add_row(
            name,
            f"{report.rows_s(name):,.0f}",
            " ".join(f"{turn.rows_s:,.0f}" for turn in report.of(name)),
            Text("\n".join(f"{process} {spent:.2f}" for process, spent in report.cpu_s(name).items())),
            f"{report.cpu_us_a_row(name):.1f}",
            "" if weight is None else f"{weight:.1f}",
        )
    return table


def _ratios(report: "BenchReport") -> "Table":
    from pipeline.cli._tables import Table

    table = Table("ratio of rows/s, within a round")
    for heading in ("median", "by round", "required", ""):
        table.add_column(heading, justify="right")
    for verdict in report.verdicts():
        table.add_row(
            verdict["ratio"],
            f"{verdict['median']:.2f}",
            " ".join(f"{ratio:.2f}" for ratio in verdict["rounds"]),
            f"{verdict['required']:.1f}",
            "met" if verdict["met"] else "not met",
        )
    return table
