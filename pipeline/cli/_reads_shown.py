"""How `tideline bench reads` shows its figures: the contenders, the faults, and a line for each verdict."""

from rich.console import Console

from pipeline.bench.reads_figures import (
    MOST_P50,
    MOST_P99,
    RECOVERED_BY_S,
    Contender,
    EmptyCaches,
    ReadsFigures,
)
from pipeline.bench.reads_figures import SlowAuthorFigures as Slow
from pipeline.cli._tables import Table


def show(figures: ReadsFigures, console: Console) -> None:
    """Everything that was measured, then what is not as it must be."""
    if figures.contenders:
        console.print(_contenders(figures))
        p50, p99 = figures.ratio("page")
        console.print(
            f"page / bare: p50 {p50:.2f} of {MOST_P50:.1f} at most, p99 {p99:.2f} of {MOST_P99:.1f} at most"
        )
    if figures.slow_author is not None:
        console.print(_slow(figures.slow_author))
    if figures.empty_caches is not None:
        console.print(_emptied(figures.empty_caches))
    for problem in figures.problems:
        console.print(f"NOT MET: {problem}", markup=False)
    if not figures.problems:
        console.print("met")


def _contenders(figures: ReadsFigures) -> Table:
    work = figures.workload
    title = f"{work['at_once']} readers at once, {work['pulled_authors']} pulled authors each, a page of 20"
    table = Table("contender", title=title)
    for heading in ("p50 ms", "p99 ms", "pages/s", "p50 / bare", "p99 / bare", "by round", "degraded"):
        table.add_column(heading, justify="right")
    for one in figures.contenders:
        table.add_row(*_row(one, figures))
    return table


def _row(one: Contender, figures: ReadsFigures) -> list[str]:
    p50, p99 = figures.ratio(one.name)
    within = "{:.2f} {:.2f}".format(*figures.ratio_by_round(one.name))
    return [
        one.name,
        f"{one.p50_ms:.1f}",
        f"{one.p99_ms:.1f}",
        f"{one.reads_s:,.0f}",
        f"{p50:.2f}",
        f"{p99:.2f}",
        within,
        f"{one.degraded:,}",
    ]


def _slow(one: Slow) -> str:
    steps = ", ".join(f"{step} {pages:,}" for step, pages in one.degraded.items()) or "none"
    return (
        f"slow-author: one partition takes {one.delay_ms / 1000:.0f} s; {one.pages:,} pages,"
        f" p50 {one.p50_ms:.0f} ms, p99 {one.p99_ms:.0f} of {one.deadline_ms:.0f} ms;"
        f" degraded: {steps}; lacking: "
        + (", ".join(f"author {author} {pages:,}" for author, pages in one.lacks.items()) or "none")
    )


def _emptied(one: EmptyCaches) -> str:
    within = "not" if one.within_s is None else f"within {one.within_s} s of {RECOVERED_BY_S:.0f}"
    return (
        f"empty-caches: {one.keys:,} keys read {one.reads:,} times, {one.most} the most;"
        f" p99 {one.before_ms:.0f} ms before, back {within};"
        " by second: " + " ".join(f"{second}:{ms:.0f}" for second, ms in one.p99_ms.items())
    )
