"""`rxtune search`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from rxtune.cli.console import errors, output
from rxtune.cli.options import WHERE, Address, CpusPerTrial, GpusPerTrial, Runs, Workers

if TYPE_CHECKING:
    from rxtune.config import Study
    from rxtune.search.options import SearchOptions
    from rxtune.search.plan import Plan

_WHAT, _RUN = "What to search", "The run"


def search(
    space: Annotated[
        Path | None, typer.Option(help="Space file.", rich_help_panel=_WHAT)
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Task (default: babel).", rich_help_panel=_WHAT)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Encoder: folder or hub name (default: the task's).", rich_help_panel=_WHAT
        ),
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(help="Dev languages, with commas between.", rich_help_panel=_WHAT),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="Number of trials.", rich_help_panel=_WHAT)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of proposals and training.", rich_help_panel=_WHAT)
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the run (default: space and date).", rich_help_panel=_RUN),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run --name.", rich_help_panel=_RUN)
    ] = False,
    runs: Runs = Path("runs"),
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            help="MLflow store (default: mlflow.db here).",
            envvar="MLFLOW_TRACKING_URI",
            rich_help_panel=_RUN,
        ),
    ] = None,
    workers: Workers = None,
    cpus_per_trial: CpusPerTrial = 1.0,
    gpus_per_trial: GpusPerTrial = None,
    address: Address = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Folder or URI for checkpoints that all nodes reach.", rich_help_panel=WHERE
        ),
    ] = None,
) -> None:  # fmt: skip
    """Search a space of robust training; the best model lies in the run's folder afterwards.

    Example: rxtune search --space search_spaces/rs.yaml --trials 24
    """
    from rxtune.api import SearchOptions, read_study
    from rxtune.search.run_folder import default_name

    if resume and name is None:
        raise typer.BadParameter("--resume needs --name: which run to go on with")
    options = SearchOptions(
        name=default_name(runs, space.stem if space else "search") if name is None else name,
        root=runs,
        resume=resume,
        workers=workers,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        address=address,
        storage=storage,
        tracking_uri=tracking_uri,
    )
    overrides: dict[str, Any] = {
        "task": task,
        "model": model,
        "select.languages": languages.split(",") if languages else None,
        "search.trials": trials,
        "search.seed": seed,
    }
    study = read_study(space, options, {k: v for k, v in overrides.items() if v is not None})
    _run(study, options)


def _run(study: Study, options: SearchOptions) -> None:
    from rxtune import api
    from rxtune.cli.data import show_own_data
    from rxtune.cli.live import watching
    from rxtune.cli.outcome import show_result
    from rxtune.search.plan import make_plan

    plan = make_plan(study, options)  # refusals before anything is announced
    output.print(_announcement(plan), soft_wrap=True)
    show_own_data(plan)
    result = api.search(study, options, watch=watching, plan=plan)
    show_result(result, options)
    if result.problems:
        errors.print("[yellow]MLflow did not take everything:[/] " + "; ".join(result.problems))
    if result.interrupted:
        raise typer.Exit(130)


def _announcement(plan: Plan) -> str:
    verb = "Resuming" if plan.options.resume else "Searching"
    study = plan.study
    what = f"{study.search.trials} trials of {escape(plan.encoder)} on {plan.task.name}"
    embedded = " (the embedded testbed; --task and --model choose others)"
    where = embedded if plan.task.name == "babel" and study.model is None else ""
    return f"{verb} [bold]{plan.options.name}[/]: {what}{where}"
