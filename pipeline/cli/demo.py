"""`tideline demo`: the whole pipeline on a real graph, and a verdict."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import JsonOption, SecureOption
from pipeline.cli.running import echo, print_json, print_table

if TYPE_CHECKING:
    from pipeline.bench.instance import Pipeline


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    json: JsonOption = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it running, and say how to look at it.")
    ] = False,
    home: Annotated[
        Path | None,
        typer.Option(
            "--home", file_okay=False, resolve_path=True, help="An empty home; default: a temporary one."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(metavar="N", min=15, help="How long authors post.")] = 30,
    secure: SecureOption = False,
) -> None:
    """Run everything here, import a real graph, post with a burst, and audit what readers are served.

    Exit code 0 only on a clean verdict: nothing missing, twice or forbidden, nothing left unprocessed. Takes
    two to three minutes. Ctrl-C stops it and leaves nothing behind.
    """
    from pipeline.bench import demo as bench
    from pipeline.bench.demo_view import View, verdict
    from pipeline.bench.instance import place
    from pipeline.local.signals import interrupting

    try:
        with interrupting(), place(home, secured=secure) as pipeline:
            with View() as view:
                figures = bench.run(pipeline, seconds=seconds, view=view)
            print_table(verdict(figures), err=json)
            if json:
                print_json(figures.document(), indented=True)
            if keep:
                pipeline.kept = True
                _how_to_look(pipeline)
    except KeyboardInterrupt:
        echo("interrupted", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(1 if figures.problems else 0)


def _how_to_look(pipeline: "Pipeline") -> None:
    from pipeline.bench import graph
    from pipeline.local.instance import find

    home, fan = pipeline.home, max(graph.load().following.items(), key=lambda pair: len(pair[1]))[0]
    echo(
        "It is still running. To look:",
        f"  export TIDELINE_HOME={home}",
        f"  tideline timeline {fan} --explain",
        "  tideline lag",
        f"  curl '{find(home).api}/v1/readers/{fan}/timeline?limit=5'",
        f"To stop it: tideline stop --home {home}{f'; rm -r {home}' if pipeline.temporary else ''}",
        err=True,
    )
