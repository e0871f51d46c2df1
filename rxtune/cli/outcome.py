"""The end of a search, as people read it: what won, by how much, and what to type next."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from rxtune.api import front_of, summary_of
from rxtune.cli.console import output, rich_table
from rxtune.cli.options import place_flags
from rxtune.cli.wording import failed_text, has_ended
from rxtune.config.budget import write_duration
from rxtune.results import TrialState
from rxtune.search.budgets import compute_text
from rxtune.storage import size_text

if TYPE_CHECKING:
    from rxtune.report import Summary
    from rxtune.search.options import SearchOptions
    from rxtune.search.views import SearchResult


def show_result(result: SearchResult, options: SearchOptions) -> None:
    """Print the comparison, its caveats, where the model lies and the next commands."""
    from rxtune.report import optimism_note

    summary = summary_of(result)
    if summary.winner is not None:
        output.print()
        output.print(_comparison(summary))
        output.print()
        _show_front(result)
        output.print(optimism_note(summary, result.view.name), soft_wrap=not output.is_terminal)
    for warning in summary.warnings:
        output.print(f"[yellow]note:[/] {escape(warning)}", soft_wrap=not output.is_terminal)
    output.print(_ending(summary, result), soft_wrap=True)
    if result.best_model is not None:
        output.print(f"Best model: {escape(str(result.best_model))}", soft_wrap=True)
    _show_next(result, place_flags(result.view.folder.parent, options))


def _comparison(summary: Summary) -> Table:
    from rxtune.report import comparison_table

    return rich_table(comparison_table(summary), bold="held-out mean")


def _show_front(result: SearchResult) -> None:
    front = front_of(result)
    if front is not None:
        output.print("Pareto front: no trial beats one of these on every objective.")
        output.print(rich_table(front))
        output.print()


def _ending(summary: Summary, result: SearchResult) -> str:
    stopped = summary.by_state[TrialState.STOPPED]
    text = f"{summary.trials} trials in {result.seconds:.0f} s"
    if stopped:
        text += f"; {stopped} stopped early"
        if summary.saved_share:
            text += f", which saved {100 * summary.saved_share:.0f} % of the training cost"
    failed = failed_text(result.records)
    text += f"; {failed}" if failed else ""
    if result.disk_peak:
        forecast = size_text(result.view.disk_forecast)
        text += f"; at most {size_text(result.disk_peak)} on disk (forecast {forecast})"
    return text


def _show_next(result: SearchResult, flags: str) -> None:
    view = result.view
    again = f"rxtune search --name {view.name}{flags} --resume"
    if result.interrupted:
        output.print("Interrupted: what is finished is kept. To go on:", soft_wrap=True)
        output.print(f"  {again}", style="bold", soft_wrap=True, markup=False)
        return
    if result.ended_by in ("time_budget", "compute_budget", "plateau", "space"):
        output.print(_early_end(result, again), soft_wrap=True, markup=False)
    output.print("Next: settle it on fresh seeds and the test split, and browse the runs:")
    for command in (f"rxtune confirm {view.name}{flags}", _browse(view.tracking_uri)):
        output.print(f"  {command}", style="bold", soft_wrap=True, markup=False)


def _early_end(result: SearchResult, again: str) -> str:
    """Return in one line what ended the search, what that cost, and how to go on."""
    ended = sum(map(has_ended, result.records))
    so_far = f"after {ended} of {result.view.study.search.trials} trials"
    if result.ending is None:
        return f"Ended {so_far}: {result.exhausted}."
    cut = ""
    if result.cut:
        cut = f"; {result.cut} that ran {'was' if result.cut == 1 else 'were'} cut off"
    return f"Ended by its {result.ending.what} {so_far}{cut}. To go on: {again} {_more(result)}"


def _more(result: SearchResult) -> str:
    """Return the flag with which a search that has ended early goes on: twice as much, if any."""
    search = result.view.study.search
    if search.time_budget is not None and result.ended_by == "time_budget":
        return f"--time-budget {write_duration(search.time_budget)}"  # every call has its own
    if search.compute_budget is not None and result.ended_by == "compute_budget":
        doubled = replace(search.compute_budget, amount=2 * search.compute_budget.amount)
        return f"--compute-budget {compute_text(doubled)}"
    return f"--plateau {2 * (search.plateau or 1)}"


def _browse(uri: str) -> str:
    from rxtune.track import resolve_uri

    if uri.startswith("http"):
        return f"open {uri}"
    default = uri == resolve_uri(None)
    return "mlflow ui" if default else f"mlflow ui --backend-store-uri {shlex.quote(uri)}"
