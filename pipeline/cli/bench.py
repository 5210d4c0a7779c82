"""`tideline bench`: measured comparisons, each on real engines of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import JsonOption

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.bench.figures import Report


def register(app: typer.Typer) -> None:
    """Add the command group."""
    bench = typer.Typer(no_args_is_help=True, help="Measured comparisons on real engines.")
    bench.callback()(_group)
    bench.command("fanout")(fanout)
    app.add_typer(bench, name="bench")


def _group() -> None:
    """With a single command, typer would otherwise leave out its name."""


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
    import orjson
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
        typer.echo(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2).decode())
        return
    console = Console(highlight=False)
    console.print(_figures(report))
    console.print(_ratios(report))


def _figures(report: "Report") -> "Table":
    from rich.table import Table

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
            "\n".join(f"{process} {spent:.2f}" for process, spent in report.cpu_s(name).items()),
            f"{report.cpu_us_a_row(name):.1f}",
            "" if weight is None else f"{weight:.1f}",
        )
    return table


def _ratios(report: "Report") -> "Table":
    from rich.table import Table

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
