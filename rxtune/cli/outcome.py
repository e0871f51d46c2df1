"""The end of a search, as people read it: what won, by how much, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from rxtune.api import summary_of
from rxtune.cli.console import output
from rxtune.results import TrialState

if TYPE_CHECKING:
    from rxtune.report import Summary
    from rxtune.search.tuner import SearchResult


def show_result(result: SearchResult) -> None:
    """Print the comparison, its caveats, where the model lies and the next commands."""
    from rxtune.report import optimism_note

    summary = summary_of(result)
    if summary.winner is not None:
        output.print()
        output.print(_comparison(summary))
        output.print()
        output.print(optimism_note(summary, result.view.name), soft_wrap=True)
    for warning in summary.warnings:
        output.print(f"[yellow]note:[/] {warning}", soft_wrap=True)
    output.print(_ending(summary, result), soft_wrap=True)
    if result.best_model is not None:
        output.print(f"Best model: {result.best_model}", soft_wrap=True)
    _show_next(result)


def _comparison(summary: Summary) -> Table:
    from rxtune.report import comparison_table

    rows = comparison_table(summary)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(rows.header):
        table.add_column(column, justify="right" if position else "left")
    for row in rows.rows:
        table.add_row(*row, style="bold" if row[0] == "held-out mean" else "")
    return table


def _ending(summary: Summary, result: SearchResult) -> str:
    stopped = summary.by_state[TrialState.STOPPED]
    text = f"{summary.trials} trials in {result.seconds:.0f} s"
    if stopped:
        text += f"; {stopped} stopped early"
        if summary.saved_share:
            text += f", which saved {100 * summary.saved_share:.0f} % of the training cost"
    failed = summary.by_state[TrialState.FAILED]
    return text + (f"; {failed} failed" if failed else "")


def _show_next(result: SearchResult) -> None:
    view = result.view
    if result.interrupted:
        output.print("Interrupted: what is finished is kept. To go on:", soft_wrap=True)
        output.print(f"  rxtune search --name {view.name} --resume", style="bold")
        return
    output.print("Browse the runs:")
    output.print(f"  {_mlflow_command(view.tracking_uri)}", style="bold", soft_wrap=True)


def _mlflow_command(uri: str) -> str:
    from rxtune.track import resolve_uri

    if uri.startswith("http"):
        return f"open {uri}"
    default = uri == resolve_uri(None)
    return "mlflow ui" if default else f"mlflow ui --backend-store-uri {uri}"
