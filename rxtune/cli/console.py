"""The two consoles: results go to standard output, errors to standard error."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from rxtune import report

output = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

_ASCII = str.maketrans("▁▂▃▄▅▆▇█–−×·…★σρ", "_.:-=+*#--x|~*sr")
"""What stands for a character where the terminal's encoding does not have it, of equal width."""


@contextmanager
def for_people(as_json: bool) -> Iterator[None]:
    """Send what the block prints to standard error, if standard output is for a JSON document.

    What any library prints goes there as well.
    """
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def print_in_any_encoding() -> None:
    """Let what the streams' encodings do not have be printed as the next best thing."""
    codecs.register_error("rxtune", _next_best)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="rxtune")


def _next_best(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_ASCII)
    return "".join(c if c.isascii() else "?" for c in text), error.end


def rich_table(table: report.Table, bold: str = "") -> Table:
    """Return a report's table for the console; the row whose first cell is `bold` stands out."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(table.header):
        shown.add_column(column, justify="right" if position else "left")
    for row in table.rows:
        shown.add_row(*row, style="bold" if row[0] == bold else "")
    return shown
