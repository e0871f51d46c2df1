"""`rxtune check`: whether a study can be searched, and what that will cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from rxtune.cli import options as flags
from rxtune.cli.console import errors, for_people, output
from rxtune.cli.data import plain_table, show_data
from rxtune.config.budget import write_duration
from rxtune.config.names import short
from rxtune.errors import StudyError
from rxtune.storage import free_bytes, size_text

if TYPE_CHECKING:
    from rxtune.config.search_settings import SearchSettings
    from rxtune.data import DataSummary, UnknownShare
    from rxtune.search.forecast import Forecast, MethodForecast
    from rxtune.search.plan import Ground


def check(
    space: flags.NeededSpaceFile,
    task: flags.Task = None,
    model: flags.Model = None,
    languages: flags.Languages = None,
    metric: flags.Metric = None,
    objective: flags.Objective = None,
    sampler: flags.Sampler = None,
    stopper: flags.Stopper = None,
    replicates: flags.Replicates = None,
    trials: flags.Trials = None,
    time_budget: flags.TimeBudget = None,
    compute_budget: flags.ComputeBudget = None,
    keep: flags.Keep = None,
    runs: flags.Runs = Path("runs"),
    tracking_uri: flags.TrackingUri = None,
    workers: flags.Workers = None,
    cpus_per_trial: flags.CpusPerTrial = 1.0,
    gpus_per_trial: flags.GpusPerTrial = None,
    address: flags.Address = None,
    storage: flags.Storage = None,
    as_json: flags.AsJson = False,
) -> None:
    """Validate a space file, its data and its encoder, and forecast the cost; trains nothing.

    A storage and an MLflow store that are named are tried; with --address every node of the
    cluster is asked, and the forecast is made there.

    Example: rxtune check --space search_spaces/rs.yaml --trials 60
    """
    from rxtune import api
    from rxtune.cli.as_json import check_document, print_json
    from rxtune.cli.cluster import show_cluster
    from rxtune.config import load_study

    asked = flags.overrides(
        task=task, model=model, languages=languages, metric=metric, objective=objective,
        sampler=sampler, stopper=stopper, replicates=replicates, trials=trials,
        time_budget=time_budget, compute_budget=compute_budget, keep=keep,
    )  # fmt: skip
    study = load_study(space, asked)
    if address is None and (workers, cpus_per_trial, gpus_per_trial) != (None, 1.0, None):
        raise StudyError(
            "--workers, --cpus-per-trial and --gpus-per-trial need --address: without it the"
            " forecast is for all of this machine; leave them out, or name the cluster"
        )
    options = api.SearchOptions(
        name="check", root=runs, workers=workers, cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial, address=address, storage=storage,
        tracking_uri=tracking_uri,
    )  # fmt: skip
    with for_people(as_json):
        checked = api.check(study, on_data=_show_data, options=options, on_cluster=show_cluster)
        _show_forecast(checked.forecast, study.search, runs)
        output.print(f"[bold]{escape(str(space))} can be searched.[/] Nothing was trained.")
    if as_json:
        print_json(check_document(checked))


def _show_data(ground: Ground, data: DataSummary, unknown: tuple[UnknownShare, ...]) -> None:
    output.print(
        f"[bold]{escape(ground.task.name)}[/]: {escape(ground.task.title)}; encoder"
        f" {escape(ground.encoder)}, chosen by {escape(', '.join(ground.dev_languages))}",
        soft_wrap=True,
    )
    show_data(data, unknown)


def _show_forecast(forecast: Forecast, search: SearchSettings, runs: Path) -> None:
    place = "the GPU" if forecast.device == "cuda" else "one core"
    output.print(f"\n[bold]Forecast[/] from a few steps on {place}, {forecast.precision}:")
    columns = ("method", "step", "× plain", "updates", "forward passes", "full trial")
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
    output.print(_disk(forecast, runs), soft_wrap=True)
    output.print(_total(forecast) + _besides(search), soft_wrap=True)
    for note in (*forecast.notes, *forecast.disk.shortages(runs, str(runs))):
        errors.print(f"[magenta]note:[/] {escape(note)}", soft_wrap=True)


def _method_row(forecast: Forecast, method: MethodForecast) -> tuple[str, ...]:
    plain = forecast.methods[0].step_seconds
    return (
        method.configuration.method,
        seconds_text(method.step_seconds),
        f"{method.step_seconds / plain:.1f}",
        f"{method.updates:,}",
        short(float(f"{method.forward_equivalents:.2g}")),
        seconds_text(forecast.trial_seconds(method)),
    )


def _disk(forecast: Forecast, runs: Path) -> str:
    disk, free = forecast.disk, free_bytes(str(runs))
    most = f" ({size_text(disk.most_bytes)} at most)" if disk.workers > 1 else ""
    models = "1 model of" if disk.keep == 1 else f"{disk.keep} models of"
    room = "" if free is None else f" {size_text(free)} are free under {escape(str(runs))}/."
    return (
        f"Disk: about {size_text(disk.peak_bytes)} at the peak with {disk.workers} at a"
        f" time{most}: the checkpoint of a running trial is {size_text(disk.checkpoint_bytes)}"
        " (weights and the optimiser's two moments), twice while one replaces the other;"
        f" {models} {size_text(disk.model_bytes)} kept.{room}"
    )


def _total(forecast: Forecast) -> str:
    total = seconds_text(forecast.total_seconds)
    shared = seconds_text(forecast.total_seconds / min(forecast.at_a_time, forecast.trials))
    return (
        f"{forecast.trials} trials: {total} of training, {shared} with {forecast.at_a_time} at a"
        f" time (what {forecast.place} holds). An upper bound: no trial is taken to be stopped"
        " early, and each method to have an equal share, at its start point."
    )


def _besides(search: SearchSettings) -> str:
    """Return what comes on top of the forecast, and what ends the search sooner."""
    text = ""
    if search.replicates > 1:
        text += f" More seeds for contenders come on top: up to {search.replicates} per trial."
    budgets = []
    if search.time_budget is not None:
        budgets.append(f"--time-budget {write_duration(search.time_budget)}")
    if search.compute_budget is not None:
        budgets.append(f"--compute-budget {search.compute_budget}")
    if budgets:
        plural = "s" if len(budgets) > 1 else ""
        text += f" The search ends sooner at its budget{plural}: {', '.join(budgets)}."
    return text


def seconds_text(seconds: float) -> str:
    """Return a duration in a unit that suits it."""
    for size, unit in ((3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{1000 * seconds:.0f} ms"
