"""`rxtune search`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from rxtune.cli import options as flags
from rxtune.cli.console import errors, for_people, output

if TYPE_CHECKING:
    from rxtune.config import Study
    from rxtune.search.options import SearchOptions
    from rxtune.search.plan import Plan
    from rxtune.search.views import SearchResult


def search(
    space: flags.SpaceFile = None,
    task: flags.Task = None,
    model: flags.Model = None,
    languages: flags.Languages = None,
    metric: flags.Metric = None,
    objective: flags.Objective = None,
    sampler: flags.Sampler = None,
    stopper: flags.Stopper = None,
    replicates: flags.Replicates = None,
    seed: flags.Seed = None,
    warm_start: flags.WarmStart = None,
    trials: flags.Trials = None,
    time_budget: flags.TimeBudget = None,
    compute_budget: flags.ComputeBudget = None,
    plateau: flags.Plateau = None,
    name: flags.Name = None,
    resume: flags.Resume = False,
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
    """Search a space of robust training; the best model lies in the run's folder afterwards.

    Example: rxtune search --space search_spaces/rs.yaml --trials 60 --time-budget 2h

    Going on: rxtune search --name rs-1122-0931 --resume --trials 90
    """
    from rxtune.api import SearchOptions, read_study
    from rxtune.search.run_folder import default_name

    if resume and name is None:
        raise typer.BadParameter("--resume needs --name: which run to go on with")
    options = SearchOptions(
        name=default_name(runs, space.stem if space else "search") if name is None else name,
        root=runs, resume=resume, warm_start=flags.split(warm_start), workers=workers,
        cpus_per_trial=cpus_per_trial, gpus_per_trial=gpus_per_trial, address=address,
        storage=storage, tracking_uri=tracking_uri,
    )  # fmt: skip
    asked = flags.overrides(
        task=task, model=model, languages=languages, metric=metric, objective=objective,
        sampler=sampler, stopper=stopper, replicates=replicates, seed=seed, trials=trials,
        time_budget=time_budget, compute_budget=compute_budget, plateau=plateau, keep=keep,
    )  # fmt: skip
    with for_people(as_json):
        _bring_back(options)
        result = _run(read_study(space, options, asked), options)
    if as_json:
        from rxtune.cli.as_json import print_json, search_document

        print_json(search_document(result))
    if result.interrupted:
        raise typer.Exit(130)


def _bring_back(options: SearchOptions) -> None:
    from rxtune.api import bring_back

    if place := bring_back(options):
        output.print(
            f"Run {options.name}: brought back from {escape(place)}, which was ahead",
            soft_wrap=True,
        )


def _run(study: Study, options: SearchOptions) -> SearchResult:
    from rxtune import api
    from rxtune.cli.data import show_own_data
    from rxtune.cli.live import watching
    from rxtune.cli.outcome import show_result
    from rxtune.search.plan import make_plan

    plan = make_plan(study, options)  # refusals before anything is announced
    output.print(_announcement(plan), soft_wrap=not output.is_terminal)
    if plan.warm_start is not None:
        output.print(f"Warm start: {plan.warm_start}.", soft_wrap=True, markup=False)
    show_own_data(plan)
    try:
        result = api.search(study, options, watch=watching, plan=plan)
    except KeyboardInterrupt:
        _show_interrupt(plan, options)
        raise typer.Exit(130) from None
    show_result(result, options)
    for what, problems in (
        ("MLflow did not take everything", result.problems),
        ("The storage failed at times", result.storage_problems),
        ("The cluster", result.cluster_problems),
    ):
        if problems:
            told = escape("; ".join(problems))
            errors.print(f"[magenta]{what}:[/] {told}", soft_wrap=True)
    return result


def _show_interrupt(plan: Plan, options: SearchOptions) -> None:
    """Say how to go on after a Ctrl-C that no trial was there to take, or a second one."""
    if not plan.folder.journal.exists():
        output.print("Interrupted before the first trial: the same line starts the search.")
        return
    output.print("Interrupted: what is finished is kept. To go on:", soft_wrap=True)
    again = (
        f"rxtune search --name {options.name}{flags.place_flags(options.root, options)} --resume"
    )
    output.print(f"  {again}", style="bold", soft_wrap=True, markup=False)


def _announcement(plan: Plan) -> str:
    verb = "Resuming" if plan.options.resume else "Searching"
    study = plan.study
    what = f"{study.search.trials} trials of {escape(plan.encoder)} on {escape(plan.task.name)}"
    embedded = " (the embedded testbed; --task and --model choose others)"
    where = embedded if plan.task.name == "babel" and study.model is None else ""
    return f"{verb} [bold]{plan.options.name}[/]: {what}{where}"
