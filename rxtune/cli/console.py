"""The two consoles: results go to standard output, errors to standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from rxtune import report

output = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def rich_table(table: report.Table, bold: str = "") -> Table:
    """Return a report's table for the console; the row whose first cell is `bold` stands out."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(table.header):
        shown.add_column(column, justify="right" if position else "left")
    for row in table.rows:
        shown.add_row(*row, style="bold" if row[0] == bold else "")
    return shown
