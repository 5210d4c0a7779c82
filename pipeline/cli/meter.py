"""A progress bar for what takes longer than a second; silent before, and where nobody watches."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from pipeline.cli.running import echo
from pipeline.telemetry.printable import one_line

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 1.0
"""Seconds without a sign of life that nobody minds."""


class Meter:
    """Shows how far a job is on stderr, and says things there without tearing the bar. A context manager."""

    def __init__(self, title: str, total: int = 0) -> None:
        """`total` in the units of `show`; 0: nobody knows."""
        self._title, self._total = title, total
        self._due = time.monotonic() + PATIENCE
        self._bar: Progress | None = None

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, done: int, note: str, total: int | None = None) -> None:
        """The job is this far; `total`: of so many, now that it is known better."""
        self._total = self._total if total is None else total
        if self._bar is None and time.monotonic() >= self._due and sys.stderr.isatty():
            self._bar = _bar()
            self._bar.start()
            self._bar.add_task(self._title, total=self._total or None)
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0],
                completed=done,
                total=self._total or None,
                description=f"{self._title}: {note}",
            )

    def say(self, text: str) -> None:
        """A line on stderr."""
        if self._bar is None:
            echo(text, err=True)
        else:
            self._bar.console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)


def _bar() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
