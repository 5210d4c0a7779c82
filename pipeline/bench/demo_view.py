"""What the demo shows: a live table on a terminal, a line every few seconds elsewhere, and the verdict."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.bench.verdict import DemoFigures, Latency
from pipeline.control.lag import StageLag
from pipeline.path import tier_of

_LINE_EVERY_S = 5.0
_RATE_OVER_S = 3.0
_BAR = 40


@dataclass(slots=True)
class Moment:
    """How far a run is: what the live view shows, and what it has seen on the way."""

    title: str
    done: int = 0
    total: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    stages: Sequence[StageLag] = ()
    visible: Mapping[str, Latency] = field(default_factory=dict)
    worst_age_s: dict[str, float] = field(default_factory=dict)
    peak_rows_s: float = 0.0
    _rows_at: deque[tuple[float, int]] = field(default_factory=deque)

    def written(self, rows: Mapping[str, int], now: float) -> None:
        """Rows written so far, by tier, at this moment of the monotonic clock."""
        self.rows = rows
        self._rows_at.append((now, sum(rows.values())))
        while now - self._rows_at[0][0] > _RATE_OVER_S:
            self._rows_at.popleft()
        self.peak_rows_s = max(self.peak_rows_s, self.rows_s)

    def lagging(self, stages: Sequence[StageLag]) -> None:
        """How far every stage is behind."""
        self.stages = stages
        for stage in stages:
            self.worst_age_s[stage.stage] = max(stage.age_s or 0.0, self.worst_age_s.get(stage.stage, 0.0))

    @property
    def rows_s(self) -> float:
        """Rows a second over the last seconds."""
        if len(self._rows_at) < 2:
            return 0.0
        (begin, before), (end, after) = self._rows_at[0], self._rows_at[-1]
        return (after - before) / (end - begin)


class View:
    """Talk on stderr. Use as a context manager."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._begun = time.monotonic()
        self._next_line, self._last_line = 0.0, ""

    def __enter__(self) -> "View":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(f"{time.monotonic() - self._begun:6.1f} s  {text}", markup=False, soft_wrap=True)

    def show(self, moment: Moment) -> None:
        """The state of things, in place of the one before."""
        if self._console.is_terminal:
            self._live.update(_live(moment), refresh=True)
        elif time.monotonic() >= self._next_line and (line := _line(moment)) != self._last_line:
            self._next_line, self._last_line = time.monotonic() + _LINE_EVERY_S, line
            self.say(line)

    def clear(self) -> None:
        """Nothing is under way."""
        self._next_line = 0.0
        if self._console.is_terminal:
            self._live.update(Text(""), refresh=True)


def _line(moment: Moment) -> str:
    parts = [f"{moment.title} {moment.done:,} of {moment.total:,}" if moment.total else moment.title]
    if any(moment.rows.values()):
        parts.append(f"{sum(moment.rows.values()):,} rows, {moment.rows_s:,.0f} rows/s")
    parts += [
        f"{stage.stage} {stage.lag:,} behind, {stage.age_s or 0:.1f} s"
        for stage in moment.stages
        if stage.lag and not moment.title.startswith("edges")
    ]
    parts += [
        f"{name} p99 {one.p99_s:.2f} s" for name, one in moment.visible.items() if one.p99_s is not None
    ]
    return " · ".join(parts)


def _live(moment: Moment) -> Table:
    whole = Table.grid(padding=(0, 0, 1, 0))
    whole.add_row(_bar(moment.done, moment.total, moment.title))
    if any(moment.rows.values()):
        whole.add_row(_tiers(moment))
        whole.add_row(_visible(moment.visible))
    return whole


def _bar(done: int, total: int, title: str) -> Text:
    if not total:
        return Text(title)
    full = _BAR * done // total
    return Text.assemble(
        ("━" * full, "green"), ("━" * (_BAR - full), "dim"), f"  {title} {done:,} of {total:,}"
    )


def _tiers(moment: Moment) -> Table:
    table = Table(
        "stage", box=None, pad_edge=False, title=f"{moment.rows_s:,.0f} rows/s", title_justify="left"
    )
    for name in ("rows", "behind", "oldest", "budget", "spent"):
        table.add_column(name, justify="right", min_width=9)
    for stage in moment.stages:
        tier = tier_of(stage.stage)
        age, spent, budget = stage.age_s, stage.spent, stage.lag_budget_s
        table.add_row(
            stage.stage,
            f"{moment.rows[tier]:,}" if tier is not None and tier in moment.rows else "",
            "unknown" if stage.lag is None else f"{stage.lag:,}",
            "unknown" if age is None else f"{age:.1f} s" if age else "",
            "" if budget is None else f"{budget:g} s",
            "" if not spent else f"{spent:.0%}",
            style="red" if spent and spent > 1 else "",
        )
    return table


def _visible(classes: Mapping[str, Latency]) -> Table:
    table = Table("publish to visible", box=None, pad_edge=False)
    for name in ("probes", "never", "p50", "p99"):
        table.add_column(name, justify="right", min_width=9)
    for name, one in classes.items():
        never = Text(str(one.never), "red" if one.never else "")
        table.add_row(name, str(one.probes), never, _seconds(one.p50_s), _seconds(one.p99_s))
    return table


def verdict(figures: DemoFigures) -> Table:
    """The end of a run on one screen."""
    audit = figures.audit
    whole = Table.grid(padding=(0, 0, 1, 0))
    tiers = Table("tier", box=None, pad_edge=False)
    for name in ("rows", "p50", "p99", "budget", "oldest seen"):
        tiers.add_column(name, justify="right", min_width=9)
    for tier, one in figures.tiers.items():
        over = (one.visible.p99_s or 0) > one.lag_budget_s
        tiers.add_row(
            tier,
            f"{one.rows:,}",
            _seconds(one.visible.p50_s),
            Text(_seconds(one.visible.p99_s), "red" if over else ""),
            f"{one.lag_budget_s:g} s",
            _seconds(one.worst_age_s),
        )
    whole.add_row(_visible(figures.classes))
    whole.add_row(tiers)
    seconds = figures.seconds
    rows = sum(tier.rows for tier in figures.tiers.values())
    whole.add_row(
        f"{figures.edges:,} edges in {seconds['import']:.1f} s · {figures.posts:,} posts and "
        f"{figures.events - figures.posts:,} other events in {seconds['traffic']:.0f} s · {rows:,} rows, "
        f"{figures.rows_s:,.0f} rows/s, at most {figures.peak_rows_s:,.0f}\n"
        f"audit: {audit.readers:,} readers, {audit.posts:,} posts on {audit.pages:,} pages "
        f"({', '.join(f'{path} {count:,}' for path, count in sorted(audit.paths.items()))})\n"
        f"missing {audit.found['missing']} · duplicates {audit.found['duplicate']} · "
        f"forbidden {audit.found['forbidden']} · dead letters {figures.dead_letters} · "
        f"{seconds['total']:.0f} s in all on {figures.machine['cores']} cores"
    )
    for example in audit.examples:
        found = example.finding
        whole.add_row(
            f"{found.kind}: reader {example.reader_id}, post {found.post_id}, {example.author_class} author "
            f"{found.author_id}, path {found.path or 'none'} {found.detail}"
        )
    problems = figures.problems
    whole.add_row(
        Text(f"NOT CLEAN: {', '.join(problems)}", "bold red") if problems else Text("clean", "bold green")
    )
    return whole


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f} s" if value < 1 else f"{value:.2f} s"
