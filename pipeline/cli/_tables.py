"""Tables whose cells drive no terminal."""

from typing import Any

from rich.table import Table as RichTable
from rich.text import Text

from pipeline.telemetry.printable import one_line, plain

NAMES = {"stage", "tier", "group", "kind", "target", "status"}
"""Titles of columns that are never cut: they are what the next command is given."""


class Table(RichTable):
    """A table of plain text: what is in a cell, strangers may have written.

    No cell is read as markup. A str is one line; a Text, which its maker has thought about, may have several.
    Names of stages and tiers stay whole in a narrow window, and other columns give way.
    """

    def add_column(self, header: str = "", *args: Any, **given: Any) -> None:  # type: ignore[override]
        """A column, as rich has it."""
        super().add_column(header, *args, **{"no_wrap": header in NAMES, **given})

    def add_row(self, *cells: str | Text, style: str = "") -> None:  # type: ignore[override]
        """A row of this style."""
        super().add_row(*map(_cell, cells), style=style or None)


def _cell(given: str | Text) -> Text:
    if isinstance(given, str):
        return Text(one_line(given))
    safe = given.copy()
    safe.plain = plain(given.plain)
    return safe
