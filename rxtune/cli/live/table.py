"""The trials of a search as lines of a table that is as wide as the terminal, and no wider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from rxtune.api.progress import Progress, rung_of
from rxtune.cli.live import words
from rxtune.cli.live.sparkline import LONGEST, sampled, sparkline
from rxtune.config.stopping import Asha
from rxtune.results import TrialRecord, TrialState

WIDE = 110
"""Columns of a terminal from which on every row has room for its reason."""
_STYLES = {
    TrialState.RUNNING: "magenta",
    TrialState.FINISHED: "",
    TrialState.STOPPED: "dim",
    TrialState.FAILED: "red",
}
"""Of the state's word, which says all alone. Magenta and red can be read on a light and on a dark
ground; green, cyan and yellow cannot on a light one, nor blue on a dark one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column before its width is known."""

    header: str
    cell: Callable[[TrialRecord], str]
    style: Callable[[TrialRecord], str] = lambda record: ""
    needs: int = 0
    """Columns that a terminal must have to show it."""
    least: int = 0
    """Its width at least, so that it does not change while one looks."""
    right: bool = False
    shrinks: bool = False
    """Whether its cells may be cut off."""


def table(
    progress: Progress, rows: Sequence[TrialRecord], width: int, *, is_alive: bool
) -> list[Text]:
    """Return a header and a line for each of the rows.

    Args:
        progress: Of the search.
        rows: Trials to be shown.
        width: Columns of the terminal.
        is_alive: Whether there is a driver: without one nothing runs.
    """
    found = _columns(progress, rows, is_wide=width >= WIDE, is_alive=is_alive)
    gap = 2 if width >= WIDE else 1
    columns = [column for column in found if width >= column.needs]
    cells = [[column.cell(record) for column in columns] for record in rows]
    widths = _widths(columns, cells)
    while (left := _left(columns, widths, width - gap * (len(columns) - 1))) < 0:
        if len(columns) == 1:
            break
        place = max(range(len(columns)), key=lambda place: columns[place].needs)
        del columns[place], widths[place]  # what a narrow terminal does best without
        for row in cells:
            del row[place]
    _shrink(columns, widths, left)
    header = Text()
    _fill(header, columns, [column.header for column in columns], widths, gap)
    header.stylize("bold")
    lines, best = [header], _number_of(progress.best)
    for record, texts in zip(rows, cells, strict=True):
        line = Text()
        _fill(line, columns, texts, widths, gap, [column.style(record) for column in columns])
        if record.number == best:
            line.stylize("bold")
        lines.append(line)
    return lines


def _widths(columns: Sequence[Column], cells: Sequence[list[str]]) -> list[int]:
    """Return the width that every column would have where there is room."""
    return [
        max(column.least, cell_len(column.header), *(cell_len(row[place]) for row in cells))
        for place, column in enumerate(columns)
    ]


def _left(columns: Sequence[Column], widths: Sequence[int], room: int) -> int:
    """Return what columns that do not shrink leave to the others; below 0: they do not fit."""
    return room - sum(w for w, c in zip(widths, columns, strict=True) if not c.shrinks)


def _shrink(columns: Sequence[Column], widths: list[int], left: int) -> None:
    """Give the columns that shrink what is left, the first one what it needs."""
    for place, column in enumerate(columns):
        if column.shrinks:
            widths[place] = max(0, min(widths[place], left))
            left -= widths[place]


def _fill(
    line: Text,
    columns: Sequence[Column],
    texts: Sequence[str],
    widths: Sequence[int],
    gap: int,
    styles: Sequence[str] = (),
) -> None:
    for place, (column, text, width) in enumerate(zip(columns, texts, widths, strict=True)):
        line.append(" " * gap if place else "")
        shown = _cut(text, width)
        space = " " * (width - cell_len(shown))
        line.append(space if column.right else "")
        line.append(shown, style=styles[place] if styles else "")
        line.append("" if column.right else space)
    line.rstrip()


def _cut(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + "…" if width > 1 else ""


def _columns(
    progress: Progress, rows: Iterable[TrialRecord], *, is_wide: bool, is_alive: bool
) -> Iterator[Column]:
    study, best = progress.study, _number_of(progress.best)
    yield Column(header="trial", cell=lambda r: str(r.number), right=True)
    yield Column(header="method", cell=words.method, needs=46, least=10)
    yield Column(
        header="parameters",
        cell=lambda r: words.parameters(r, short=not is_wide),
        needs=66,
        shrinks=True,
    )
    yield Column(
        header="state",
        cell=lambda r: words.state(r, is_alive=is_alive, short=not is_wide),
        style=lambda r: _STYLES[r.state],
        least=8,
    )
    yield Column(header="evals", cell=lambda r: words.evaluations(r, study), right=True)
    if isinstance(study.stopping.rule, Asha):
        yield Column(
            header="rung", cell=lambda r: str(rung_of(study, r) or "–"), needs=40, right=True
        )
    low, high = _range(rows)
    total = study.stopping.evaluations
    yield Column(
        header="curve",
        cell=lambda r: sparkline(sampled([e.value for e in r.evaluations], total), low, high),
        needs=54,
        least=min(total, LONGEST),
    )
    yield Column(
        header="dev",
        cell=lambda r: words.dev_score(r) + (" ★" if r.number == best else ""),
        least=6,
    )
    if is_wide:
        yield Column(header="why", cell=words.reason, needs=WIDE, shrinks=True)


def _number_of(record: TrialRecord | None) -> int | None:
    """Return the number of a trial, if there is one."""
    return None if record is None else record.number


def _range(rows: Iterable[TrialRecord]) -> tuple[float, float]:
    """Return the lowest and the highest score of all rows: their curves share one scale."""
    values = [e.value for record in rows for e in record.evaluations if e.value == e.value]
    return (min(values), max(values)) if values else (0.0, 1.0)
