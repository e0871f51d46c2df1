"""The end of a search, as people read it: what won, by how much, and what to type next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from rxtune.api import front_of, summary_of
from rxtune.cli.console import output, rich_table
from rxtune.cli.options import place_flags, runs_flag
from rxtune.cli.wording import failed_text, has_ended
from rxtune.config.budget import write_duration
from rxtune.results import TrialState
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
        output.print(f"[magenta]note:[/] {escape(warning)}", soft_wrap=not output.is_terminal)
    ending = _ending(summary, result, options.resume)
    output.print(ending, soft_wrap=not output.is_terminal)
    if result.best_model is not None:
        output.print(f"Best model: {escape(str(result.best_model))}", soft_wrap=True)
    can_be_confirmed = summary.best_robust is not None
    _show_next(result, place_flags(result.view.folder.parent, options), can_be_confirmed)


def _comparison(summary: Summary) -> Table:
    from rxtune.report import comparison_table

    return rich_table(comparison_table(summary), bold="held-out mean")


def _show_front(result: SearchResult) -> None:
    front = front_of(result)
    if front is not None:
        output.print("Pareto front: no trial beats one of these on every objective.")
        output.print(rich_table(front))
        output.print()


def _ending(summary: Summary, result: SearchResult, is_resumed: bool) -> str:
    stopped = summary.by_state[TrialState.STOPPED]
    when = ", this time" if is_resumed else " in"
    plural = "" if summary.trials == 1 else "s"
    text = f"{summary.trials} trial{plural}{when} {result.seconds:.0f} s"
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


def _show_next(result: SearchResult, flags: str, can_be_confirmed: bool) -> None:
    view = result.view
    again = f"rxtune search --name {view.name}{flags} --resume"
    if result.interrupted:
        output.print("Interrupted: what is finished is kept. To go on:", soft_wrap=True)
        output.print(f"  {again}", style="bold", soft_wrap=True, markup=False)
        return
    ended_early = result.ended_by in ("time_budget", "compute_budget", "plateau", "space")
    if ended_early:
        _show_early_end(result, again)
    where = runs_flag(view.folder.parent)
    what = "see it as one page, and browse the runs"
    commands = [f"rxtune report {view.name}{where}", f"rxtune ui {view.name}{where}"]
    if can_be_confirmed:
        what = f"settle it on fresh seeds and the test split, {what}"
        commands.insert(0, f"rxtune confirm {view.name}{flags}")
    elif not ended_early:
        what = f"search on, since no robust trial is there to confirm yet, {what}"
        commands.insert(0, f"{again} --trials {2 * view.study.search.trials}")
    output.print(f"Next: {what}:", soft_wrap=not output.is_terminal)
    for command in commands:
        output.print(f"  {command}", style="bold", soft_wrap=True, markup=False)


def _show_early_end(result: SearchResult, again: str) -> None:
    """Print what ended the search, what that cost, and how to go on."""
    ended = sum(map(has_ended, result.records))
    so_far = f"after {ended} of {result.view.study.search.trials} trials"
    if result.ending is None:
        text = f"Ended {so_far}: {result.exhausted}."
        output.print(text, soft_wrap=not output.is_terminal, markup=False)
        return
    cut = ""
    if result.cut:
        cut = f"; {result.cut} that ran {'was' if result.cut == 1 else 'were'} cut off"
    text = f"Ended by its {result.ending.what} {so_far}{cut}. To go on:"
    output.print(text, soft_wrap=not output.is_terminal, markup=False)
    output.print(f"  {again} {_more(result)}", style="bold", soft_wrap=True, markup=False)


def _more(result: SearchResult) -> str:
    """Return the flag with which a search that has ended early goes on: twice as much, if any."""
    search = result.view.study.search
    if search.time_budget is not None and result.ended_by == "time_budget":
        return f"--time-budget {write_duration(search.time_budget)}"  # every call has its own
    if search.compute_budget is not None and result.ended_by == "compute_budget":
        doubled = replace(search.compute_budget, amount=2 * search.compute_budget.amount)
        return f"--compute-budget {doubled}"
    return f"--plateau {2 * (search.plateau or 1)}"
