"""The screen of a search: its trials as a table, and below it how it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from rxtune.api.progress import Progress
from rxtune.cli.live import words
from rxtune.cli.live.standing import standing
from rxtune.cli.live.table import WIDE, table
from rxtune.results import TrialRecord, TrialState

FEWEST_ROWS = 3
REASONS = 3
"""Trials whose ending is told below a narrow table while it is watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a screen may fill, and what is known beside the trials."""

    width: int
    """Columns of the terminal."""
    height: int | None = None
    """Lines of the terminal; None: as many as are needed."""
    clock: Sequence[str] = ()
    """What time has gone and is left, in parts."""
    is_alive: bool = True
    """Whether there is a driver: without one nothing runs."""


def screen(progress: Progress, frame: Frame) -> list[Text]:
    """Return the screen of a search, line by line."""
    below = _below(progress, frame)
    reasons = [] if frame.width >= WIDE else _reasons(progress, frame)
    room = None
    if frame.height is not None:
        # A line each for the header, what is hidden, and the gap; the cursor stays off the last.
        room = frame.height - 4 - len(below) - len(reasons)
        if room < FEWEST_ROWS:
            room, reasons = room + len(reasons), []
        if room < 1:
            return below[: max(1, frame.height - 1)]
    rows = rows_that_fit(progress, room)
    hidden = [_hidden(progress, rows)] if len(rows) < len(progress.records) else []
    if not rows:
        return [*below, *reasons]
    lines = table(progress, rows, frame.width, is_alive=frame.is_alive)
    return [*lines, *hidden, Text(), *below, *reasons]


def rows_that_fit(progress: Progress, room: int | None) -> list[TrialRecord]:
    """Return all trials or, with less room, the best, the baseline, what runs, and the latest."""
    if room is None or len(progress.records) <= room:
        return list(progress.records)
    marked = [record for record in (progress.best, progress.baseline) if record is not None]
    chosen = {r.number: r for r in (*marked, *reversed(progress.running))}
    for record in reversed(progress.records):
        if len(chosen) >= room:
            break
        chosen.setdefault(record.number, record)
    return sorted(list(chosen.values())[:room], key=lambda record: record.number)


def _hidden(progress: Progress, rows: Sequence[TrialRecord]) -> Text:
    running = sum(record.state is TrialState.RUNNING for record in rows)
    more = len(progress.running) - running
    also = f", {more} of them running" if more else ""
    return Text(f"… and {len(progress.records) - len(rows)} more{also}", style="dim")


# --- below the table


def _below(progress: Progress, frame: Frame) -> list[Text]:
    return [
        Text(line)
        for parts in standing(progress, frame.clock, is_alive=frame.is_alive)
        for line in flow(parts, frame.width)
    ]


def flow(parts: Iterable[str], width: int) -> list[str]:
    """Return parts as lines that are not longer than the width, unless one part alone is."""
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]} · {part}" if lines else part
        if lines and cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def _reasons(progress: Progress, frame: Frame) -> list[Text]:
    """Return why the last trials were stopped or failed, where the table has no room for it."""
    shown = [*progress.latest, *(record for record in progress.running if record.losses)]
    shown = shown if frame.height is None else shown[-REASONS:]
    lines = [
        Text(f"trial {record.number} {words.state(record)}: {words.reason(record)}", style="dim")
        for record in shown
        if words.reason(record)
    ]
    hidden = progress.without_result - len(progress.latest)
    if hidden > 0 and frame.height is None:
        lines.insert(0, Text(f"… and {hidden} reasons more", style="dim"))
    return lines
