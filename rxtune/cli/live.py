"""The search while it runs: a live table in a terminal, plain lines anywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rxtune.cli.console import output
from rxtune.results import TrialRecord, TrialState

if TYPE_CHECKING:
    from rxtune.search.views import SearchView

REFRESH_SECONDS = 0.5
_STYLES = {
    TrialState.RUNNING: "cyan",
    TrialState.FINISHED: "green",
    TrialState.STOPPED: "yellow",
    TrialState.FAILED: "red",
}


@contextmanager
def watching(view: SearchView) -> Iterator[None]:
    """Show the search until the block ends; what is shown comes from the journal alone."""
    if view.recovered:
        output.print(view.recovered, style="yellow", soft_wrap=True, markup=False)
    shown = _show_live if output.is_terminal else _show_lines
    ended = threading.Event()
    thread = threading.Thread(target=shown, args=(view, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _show_live(view: SearchView, ended: threading.Event) -> None:
    with Live(console=output, auto_refresh=False, transient=True) as live:
        while not ended.wait(REFRESH_SECONDS):
            live.update(_screen(view, output.height), refresh=True)
    output.print(_screen(view, height=None))


def _show_lines(view: SearchView, ended: threading.Event) -> None:
    told: set[int] = {r.number for r in view.records() if r.state is not TrialState.RUNNING}
    over = False
    while not over:
        over = ended.wait(REFRESH_SECONDS)
        records = view.records()
        for record in records:
            if record.state is not TrialState.RUNNING and record.number not in told:
                told.add(record.number)
                line = _line(view, records, record, len(told))
                output.print(line, soft_wrap=True, markup=False)  # a reason may hold brackets


def _line(view: SearchView, records: list[TrialRecord], record: TrialRecord, count: int) -> str:
    best = best_of(records)
    standing = f"; best {_percent(best.value)} (trial {best.number})" if best else ""
    ending = f" ({record.reason})" if record.state is TrialState.FAILED else ""
    return (
        f"{time.monotonic() - view.began:5.0f} s  {count}/{view.study.search.trials}"
        f"  trial {record.number} {describe(record)}: {record.state.value}{ending}"
        f" after {_progress(view, record)}, dev {_percent(record.value)}{standing}"
    )


def _screen(view: SearchView, height: int | None) -> RenderableType:
    records = view.records()
    best = best_of(records)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("trial", "method", "parameters", "state", "rung", "dev"):
        table.add_column(column, no_wrap=True, justify="right" if column == "dev" else "left")
    rows = _rows_that_fit(records, best, height)
    for record in rows:
        table.add_row(*_cells(view, record, best), style="bold" if record is best else "")
    hidden = len(records) - len(rows)
    notes = [Text(f"… and {hidden} more", style="dim")] if hidden else []
    return Group(table, *notes, Text(_status(view, records)))


def _rows_that_fit(
    records: list[TrialRecord], best: TrialRecord | None, height: int | None
) -> list[TrialRecord]:
    """Return all rows or, where the screen is too low, the running, the best and the latest."""
    room = len(records) if height is None else max(3, height - 4)
    first = [r for r in records if r.state is TrialState.RUNNING or r is best or r.is_baseline]
    rest = [r for r in reversed(records) if r not in first]
    return sorted((first + rest)[:room], key=lambda record: record.number)


def _cells(
    view: SearchView, record: TrialRecord, best: TrialRecord | None
) -> tuple[str | Text, ...]:
    mark = " ★" if record is best else ""
    return (
        f"{record.number}",
        record.configuration.method + (" (baseline)" if record.is_baseline else ""),
        parameters(record),
        Text(record.state.value, style=_STYLES[record.state]),
        _progress(view, record),
        _percent(record.value) + mark,
    )


def _status(view: SearchView, records: list[TrialRecord]) -> str:
    ended = [r for r in records if r.state is not TrialState.RUNNING]
    parts = [f"{len(ended)}/{view.study.search.trials} trials ended"]
    stopped = sum(record.state is TrialState.STOPPED for record in records)
    failed = sum(record.state is TrialState.FAILED for record in records)
    parts += [f"{stopped} stopped early"] if stopped else []
    parts += [f"{failed} failed"] if failed else []
    best, baseline = best_of(records), next((r for r in records if r.is_baseline), None)
    if best is not None:
        parts.append(f"best {_percent(best.value)} (trial {best.number})")
    if baseline is not None and baseline.value is not None:
        parts.append(f"baseline {_percent(baseline.value)}")
    parts.append(f"{_duration(time.monotonic() - view.began)} gone")
    left = seconds_left(view, records)
    parts += [f"about {_duration(left)} left"] if left is not None else []
    return " · ".join(parts)


def seconds_left(view: SearchView, records: list[TrialRecord]) -> float | None:
    """Return the time that the rest takes at the speed so far, or None before a trial has ended.

    Trials differ in length, so running ones count by the share of an average trial they have done.
    """
    ended = [r for r in records if r.state is not TrialState.RUNNING]
    durations = [r.ended - r.started for r in ended if r.ended and r.started]
    running = [r for r in records if r.state is TrialState.RUNNING]
    if not durations:
        return None
    mean = sum(durations) / len(durations)
    now = time.time()
    to_come = mean * max(0, view.study.search.trials - len(records))
    to_come += sum(max(0.0, mean - (now - r.started)) for r in running if r.started)
    return to_come / view.capacity.workers


def best_of(records: list[TrialRecord]) -> TrialRecord | None:
    """Return the best finished trial, by the report's rule: of equals a plain one, the first."""
    finished = [r for r in records if r.state is TrialState.FINISHED and r.value is not None]
    return max(
        finished,
        key=lambda r: (r.value, r.configuration.method == "standard", -r.number),
        default=None,
    )


def describe(record: TrialRecord) -> str:
    """Return method and parameters in one line."""
    return f"{record.configuration.method} {parameters(record)}"


def parameters(record: TrialRecord) -> str:
    """Return the parameters that are searched, short."""
    names = {
        "learning_rate": "lr",
        "sigma": "sigma",
        "radius": "radius",
        "pgd_steps": "K",
        "replace_probability": "q",
    }
    searched = record.configuration.searched()
    return " ".join(
        f"{short} {searched[name]:.3g}" for name, short in names.items() if name in searched
    )


def _progress(view: SearchView, record: TrialRecord) -> str:
    return f"{len(record.evaluations)}/{view.study.stopping.evaluations}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
