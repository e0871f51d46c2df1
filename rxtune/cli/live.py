"""The search while it runs: a live table in a terminal, plain lines anywhere else."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rxtune.cli.console import output
from rxtune.cli.wording import duration, failed_text, has_ended, is_cut_off, percent
from rxtune.results import Failure, TrialRecord, TrialState
from rxtune.search.budgets import spent

if TYPE_CHECKING:
    from rxtune.search.views import SearchView

REFRESH_SECONDS = 0.5
LARGEST_SHARE = 0.05
"""Of the time, for looking at the search: a look at thousands of trials is not for nothing."""
SILENT_TIMES = 10
"""A trial is silent that lets this many times the longest way between two evaluations pass …"""
SILENT_SECONDS = 300.0
"""… and at least this long: its last evaluation is in all languages, and its model is saved."""
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
    for note in view.notes:
        output.print(f"note: {note}", style="yellow", soft_wrap=True, markup=False)
    if before := _ended_before(view):
        output.print(before, soft_wrap=True)
    shown = _show_live if output.is_terminal else _show_lines
    ended = threading.Event()
    thread = threading.Thread(target=shown, args=(view, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _ended_before(view: SearchView) -> str:
    """Return what a resumed search finds; nothing of a new one."""
    ended, asked = sum(map(has_ended, view.records())), view.study.search.trials
    if not ended:
        return ""
    more = f"; more are added with --resume --trials {2 * asked}" if ended >= asked else ""
    return f"{ended} of {asked} trials have ended already{more}"


def _show_live(view: SearchView, ended: threading.Event) -> None:
    with Live(console=output, auto_refresh=False, transient=True) as live:
        for is_over in _looks(ended):
            if not is_over:
                live.update(_screen(view, output.height), refresh=True)
    output.print(_screen(view, height=None, is_over=True))


def _show_lines(view: SearchView, ended: threading.Event) -> None:
    told = {key for key, *_ in _events(view, view.records()) if key[1] != "silent"}
    for _ in _looks(ended):
        records = view.records()
        news = [event for event in _events(view, records) if event[0] not in told]
        told |= {key for key, *_ in news}
        for line in _lines(view, records, news):
            output.print(line, soft_wrap=True, markup=False)  # a reason may hold brackets


def _looks(ended: threading.Event) -> Iterator[bool]:
    """Yield when it is time to look, and whether the search is over, once it is as the last."""
    pause, is_over = REFRESH_SECONDS, False
    while not is_over:
        is_over = ended.wait(pause)
        began = time.thread_time()
        yield is_over
        pause = max(REFRESH_SECONDS, (time.thread_time() - began) / LARGEST_SHARE)


_Event = tuple[tuple[int, str], TrialRecord, str | None]


def _events(view: SearchView, records: list[TrialRecord]) -> Iterator[_Event]:
    """Yield what is to be told so far, with a key by which it is told once.

    None in place of words: the trial has ended.
    """
    for record in records:
        if record.losses:
            yield (record.number, f"lost {record.losses}"), record, _loss_text(record)
        if record.state is not TrialState.RUNNING:
            yield (record.number, "ended"), record, None
    for record, seconds in silent(view, records):
        what = f"nothing heard of it for {duration(seconds)}; {_IF_IT_HANGS}"
        yield (record.number, "silent"), record, what


_IF_IT_HANGS = "if its worker hangs, end the search with Ctrl-C and go on with --resume"


def _lines(view: SearchView, records: list[TrialRecord], news: Sequence[_Event]) -> Iterator[str]:
    if not news:
        return
    best, ends = best_of(records), sorted(_end_of(r) for r in records if has_ended(r))
    for _, record, what in news:
        count = bisect_right(ends, _end_of(record))
        yield (
            f"{time.monotonic() - view.began:5.0f} s  {count}/{view.study.search.trials}"
            f"  trial {record.number} {describe(record)}: {what or _end_text(view, best, record)}"
        )


def _end_of(record: TrialRecord) -> tuple[float, int]:
    """Return what orders trials by their end; one that runs comes after all that have ended."""
    return (math.inf if record.ended is None else record.ended, record.number)


def _loss_text(record: TrialRecord) -> str:
    return f"broke off (time {record.losses}), goes on from its last checkpoint on another worker"


def _end_text(view: SearchView, best: TrialRecord | None, record: TrialRecord) -> str:
    standing = f"; best {percent(best.value)} (trial {best.number})" if best else ""
    state = "cut off" if is_cut_off(record) else record.state.value
    ending = f" ({record.reason})" if record.state is TrialState.FAILED else ""
    return f"{state}{ending} after {_progress(view, record)}, dev {_dev(record)}{standing}"


def _screen(view: SearchView, height: int | None, *, is_over: bool = False) -> RenderableType:
    records = view.records()
    best = best_of(records)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("trial", "method", "parameters", "state", "rung", "dev"):
        table.add_column(column, no_wrap=True, justify="right" if column == "dev" else "left")
    status = _status(view, records, is_over=is_over)
    # A header, the note below, and the status, which may need several lines.
    taken = 3 + len(status) // max(20, output.width - 12)
    rows = _rows_that_fit(records, best, None if height is None else height - taken)
    for record in rows:
        table.add_row(*_cells(view, record, best), style="bold" if record is best else "")
    hidden = len(records) - len(rows)
    notes = [Text(f"… and {hidden} more", style="dim")] if hidden else []
    return Group(table, *notes, Text(status))


def _rows_that_fit(
    records: list[TrialRecord], best: TrialRecord | None, lines: int | None
) -> list[TrialRecord]:
    """Return all rows or, where the screen is too low, the running, the best and the latest."""
    room = len(records) if lines is None else max(3, lines)
    first = [r for r in records if r.state is TrialState.RUNNING or r is best or r.is_baseline]
    chosen = {r.number for r in first}
    rest = [r for r in reversed(records) if r.number not in chosen]
    return sorted((first + rest)[:room], key=lambda record: record.number)


def _cells(
    view: SearchView, record: TrialRecord, best: TrialRecord | None
) -> tuple[str | Text, ...]:
    mark = " ★" if record is best else ""
    return (
        f"{record.number}",
        record.configuration.method + (" (baseline)" if record.is_baseline else ""),
        parameters(record),
        Text(_state(record), style=_STYLES[record.state]),
        _progress(view, record),
        _dev(record) + mark,
    )


def _state(record: TrialRecord) -> str:
    """Return the state in a word or two; of a failure, its kind."""
    if record.state is TrialState.RUNNING and record.losses:
        return f"running, {record.losses} lost"
    if record.state is TrialState.FAILED and record.failure not in (None, Failure.ERROR):
        return "cut off" if is_cut_off(record) else str(record.failure)
    return record.state.value


def _dev(record: TrialRecord) -> str:
    seeds = len(record.replicates)
    return percent(record.value) + (f" ({seeds} seeds)" if seeds > 1 else "")


def _status(view: SearchView, records: list[TrialRecord], *, is_over: bool = False) -> str:
    parts = [f"{sum(map(has_ended, records))}/{view.study.search.trials} trials ended"]
    stopped = sum(record.state is TrialState.STOPPED for record in records)
    parts += [f"{stopped} stopped early"] if stopped else []
    parts += [failed_text(records)] if failed_text(records) else []
    best, baseline = best_of(records), next((r for r in records if r.is_baseline), None)
    if best is not None:
        parts.append(f"best {percent(best.value)} (trial {best.number})")
    if baseline is not None and baseline.value is not None:
        parts.append(f"baseline {percent(baseline.value)}")
    parts += _times(view, records)
    if is_over:
        return " · ".join(parts)
    if (left := _left(view, records)) is not None:
        parts.append(f"about {duration(left)} left")
    parts += [
        f"nothing heard of trial {record.number} for {duration(seconds)}"
        for record, seconds in silent(view, records)
    ]
    return " · ".join(parts)


def _times(view: SearchView, records: list[TrialRecord]) -> list[str]:
    """Return what is used up of time and compute."""
    search, gone = view.limits.search, time.monotonic() - view.began
    whole = f" of {duration(search.time_budget)}" if search.time_budget else ""
    parts = [f"{duration(gone)}{whole} gone"]
    if (budget := search.compute_budget) is not None:
        used = spent(view.limits, budget.unit, records)
        parts.append(f"{100 * used / budget.amount:.0f} % of compute {budget}")
    return parts


def _left(view: SearchView, records: list[TrialRecord]) -> float | None:
    """Return the seconds that are left: no more than the budget has."""
    left, whole = seconds_left(view, records), view.limits.search.time_budget
    if left is None or whole is None:
        return left
    return max(0.0, min(left, whole - (time.monotonic() - view.began)))


def silent(view: SearchView, records: list[TrialRecord]) -> list[tuple[TrialRecord, float]]:
    """Return the running trials of which nothing was heard for suspiciously long, in seconds.

    Ray notices a process that dies, but waits for ever for one that hangs.
    """
    usual = max((_longest_way(record) for record in records), default=0.0)
    if not usual:
        return []
    now, since = time.time(), time.time() - (time.monotonic() - view.began)
    running = [r for r in records if r.state is TrialState.RUNNING]
    heard = [(r, now - max(since, *_signs(r))) for r in running]
    return [
        (record, seconds)
        for record, seconds in heard
        if seconds > max(SILENT_SECONDS, SILENT_TIMES * usual)
    ]


def _signs(record: TrialRecord) -> list[float]:
    return [record.started or 0.0, *(evaluation.time for evaluation in record.evaluations)]


def _longest_way(record: TrialRecord) -> float:
    """Return the longest time between two evaluations of a trial, in seconds."""
    seconds = [0.0, *(evaluation.seconds for evaluation in record.evaluations)]
    return max((after - before for before, after in pairwise(seconds)), default=0.0)


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
