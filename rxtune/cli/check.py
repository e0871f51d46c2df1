"""`rxtune check`: whether a study can be searched, and what that will cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from rxtune.cli.console import errors, output
from rxtune.cli.data import plain_table, show_data

if TYPE_CHECKING:
    from rxtune.data import DataSummary, UnknownShare
    from rxtune.search.forecast import Forecast, MethodForecast
    from rxtune.search.plan import Ground


def check(
    space: Annotated[Path, typer.Option(help="Space file.")],
    task: Annotated[str | None, typer.Option(help="Task (default: babel).")] = None,
    model: Annotated[
        str | None, typer.Option(help="Encoder: folder or hub name (default: the task's).")
    ] = None,
    languages: Annotated[
        str | None, typer.Option(help="Dev languages, with commas between.")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Number of trials.")] = None,
) -> None:  # fmt: skip
    """Validate a space file, its data and its encoder, and forecast the cost; trains nothing.

    Example: rxtune check --space search_spaces/rs.yaml --trials 60
    """
    from rxtune import api
    from rxtune.config import load_study

    overrides: dict[str, Any] = {
        "task": task,
        "model": model,
        "select.languages": languages.split(",") if languages else None,
        "search.trials": trials,
    }
    study = load_study(space, {k: v for k, v in overrides.items() if v is not None})
    checked = api.check(study, on_data=_show_data)
    _show_forecast(checked.forecast)
    output.print(f"[bold]{escape(str(space))} can be searched.[/] Nothing was trained.")


def _show_data(ground: Ground, data: DataSummary, unknown: tuple[UnknownShare, ...]) -> None:
    output.print(
        f"[bold]{escape(ground.task.name)}[/]: {escape(ground.task.title)}; encoder"
        f" {escape(ground.encoder)}, chosen by {escape(', '.join(ground.dev_languages))}",
        soft_wrap=True,
    )
    show_data(data, unknown)


def _show_forecast(forecast: Forecast) -> None:
    place = "the GPU" if forecast.device == "cuda" else "one core"
    output.print(f"\n[bold]Forecast[/] from a few steps on {place}, {forecast.precision}:")
    columns = ("method", "step", "× plain", "updates", "full trial")
    table = plain_table(*columns, right=columns[1:])
    for method in forecast.methods:
        table.add_row(*_method_row(forecast, method))
    output.print(table)
    output.print(
        f"A full trial evaluates {forecast.evaluations} times for"
        f" {seconds_text(forecast.evaluation_seconds)}, and all languages at the end for"
        f" {seconds_text(forecast.final_seconds)}.",
        soft_wrap=True,
    )
    output.print(_disk(forecast), soft_wrap=True)
    output.print(_total(forecast), soft_wrap=True)
    for note in forecast.notes:
        errors.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)


def _method_row(forecast: Forecast, method: MethodForecast) -> tuple[str, ...]:
    plain = forecast.methods[0].step_seconds
    return (
        method.configuration.method,
        seconds_text(method.step_seconds),
        f"{method.step_seconds / plain:.1f}",
        f"{method.updates:,}",
        seconds_text(forecast.trial_seconds(method)),
    )


def _disk(forecast: Forecast) -> str:
    return (
        f"Disk: {_bytes(forecast.checkpoint_bytes)} for the checkpoint of a running trial (weights"
        f" and the optimiser's two moments), {_bytes(forecast.weight_bytes)} for a model; at most"
        f" {_bytes(forecast.most_bytes)} at once with {forecast.at_a_time} at a time."
    )


def _total(forecast: Forecast) -> str:
    total = seconds_text(forecast.total_seconds)
    shared = seconds_text(forecast.total_seconds / min(forecast.at_a_time, forecast.trials))
    return (
        f"{forecast.trials} trials: {total} of training, {shared} with {forecast.at_a_time} at a"
        " time (what this machine holds). An upper bound: no trial is taken to be stopped early,"
        " and each method to have an equal share, at its start point."
    )


def seconds_text(seconds: float) -> str:
    """Return a duration in a unit that suits it."""
    for size, unit in ((3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{1000 * seconds:.0f} ms"


def _bytes(number: int) -> str:
    for size, unit in ((1e9, "GB"), (1e6, "MB")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"
