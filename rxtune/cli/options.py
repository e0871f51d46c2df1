"""Options that several commands have: what to search, how long, where the runs lie, on what."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rxtune.cli.completion import run_names, space_files
from rxtune.config import SAMPLERS
from rxtune.config.select import OBJECTIVES
from rxtune.config.stopping import STOPPERS

if TYPE_CHECKING:
    from rxtune.search.options import SearchOptions

WHAT = "What to search"
HOW = "How to search"
LONG = "How long to search"
RUN = "The run"
WHERE = "Where to run"
"""Panels of the help text."""


def _option(*names: str, help: str, panel: str, **rules: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **rules)


RunName = Annotated[
    str, typer.Argument(help="Name of the run.", metavar="RUN", autocompletion=run_names)
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document, and all else to standard error."),
]
SpaceFile = Annotated[
    Path | None, _option(help="Space file (YAML).", panel=WHAT, autocompletion=space_files)
]
NeededSpaceFile = Annotated[
    Path, _option(help="Space file (YAML).", panel=WHAT, autocompletion=space_files)
]
Task = Annotated[
    str | None, _option(help="Task, or a file that describes one (default: babel).", panel=WHAT)
]
Model = Annotated[
    str | None, _option(help="Encoder: folder or hub name (default: the task's).", panel=WHAT)
]
Languages = Annotated[
    str | None,
    _option(help="Dev languages, which choose between trials, such as sw,ur.", panel=WHAT),
]
Metric = Annotated[
    str | None,
    _option(help="Compare by accuracy or macro_f1.", panel=WHAT, metavar="METRIC"),
]
Objective = Annotated[
    str | None,
    _option(
        help=f"Maximise {', '.join(OBJECTIVES[:-1])}; several, with commas and maybe"
        f" {OBJECTIVES[-1]}, make a Pareto front: mean,worst.",
        panel=WHAT,
        metavar="NAME[,NAME]",
    ),
]
Sampler = Annotated[
    str | None,
    _option(help=f"What proposes trials: {', '.join(SAMPLERS)}.", panel=HOW, metavar="NAME"),
]
Stopper = Annotated[
    str | None,
    _option(help=f"What stops weak trials: {', '.join(STOPPERS)}.", panel=HOW, metavar="NAME"),
]
Replicates = Annotated[
    int | None, _option(help="Most seeds a trial is trained on; contenders only.", panel=HOW)
]
Seed = Annotated[int | None, _option(help="Seed of proposals and training.", panel=HOW)]
WarmStart = Annotated[
    str | None,
    _option(help="Start from the results of earlier runs.", panel=HOW, metavar="RUN[,RUN]"),
]
Trials = Annotated[int | None, _option(help="Number of trials.", panel=LONG)]
TimeBudget = Annotated[
    str | None,
    _option(help="End after this time: 2h, 1h30m, 45m.", panel=LONG, metavar="TIME"),
]
ComputeBudget = Annotated[
    str | None,
    _option(
        help="End after so much training of all trials together, in hours of a device (40h) or"
        " forward passes of an example (3e9).",
        panel=LONG,
        metavar="AMOUNT",
    ),
]
Plateau = Annotated[
    int | None,
    _option(help="End when so many trials in a row bring nothing better.", panel=LONG),
]
Name = Annotated[
    str | None,
    _option(
        help="Name of the run (default: space and date).", panel=RUN, autocompletion=run_names
    ),
]
Resume = Annotated[
    bool,
    _option(
        "--resume",
        help="Go on with the run --name; may be given more trials or larger budgets.",
        panel=RUN,
    ),
]
Keep = Annotated[
    int | None, _option(help="Models that stay on disk, those of the best trials.", panel=RUN)
]
Runs = Annotated[Path, _option(help="Folder of all runs.", panel=RUN)]
TrackingUri = Annotated[
    str | None,
    _option(
        help="MLflow store (default: mlflow.db here).", panel=RUN, envvar="MLFLOW_TRACKING_URI"
    ),
]
Workers = Annotated[
    int | None, _option(help="Trials at a time (default: what fits).", panel=WHERE, min=1)
]
CpusPerTrial = Annotated[float, _option(help="CPUs of a trial.", panel=WHERE, min=0)]
GpusPerTrial = Annotated[
    float | None,
    _option(help="GPUs, or a share of one (default: 1 where there is one).", panel=WHERE, min=0),
]
Address = Annotated[
    str | None, _option(help="Ray cluster, or auto (default: this machine).", panel=WHERE)
]
Storage = Annotated[
    str | None,
    _option(help="Folder or URI for checkpoints that all nodes reach.", panel=WHERE),
]

_KEYS: Mapping[str, str] = {
    "task": "task",
    "model": "model",
    "languages": "select.languages",
    "metric": "select.metric",
    "objective": "select.objective",
    "sampler": "search.sampler",
    "stopper": "stopping",
    "replicates": "search.replicates",
    "seed": "search.seed",
    "trials": "search.trials",
    "time_budget": "search.time_budget",
    "compute_budget": "search.compute_budget",
    "plateau": "search.plateau",
    "keep": "search.keep",
}
_LISTS = ("languages", "objective")


def overrides(**given: Any) -> dict[str, Any]:
    """Return the options that were given as overrides of a study, by dotted key."""
    return {
        _KEYS[name]: list(split(value)) if name in _LISTS else value
        for name, value in given.items()
        if value is not None
    }


def split(names: str | None) -> tuple[str, ...]:
    """Return names that have commas between them; none of an option that was not given."""
    return () if names is None else tuple(name.strip() for name in names.split(","))


def runs_flag(runs: Path) -> str:
    """Return the flag that a printed command must repeat to find the runs, with a space before."""
    is_default = runs.absolute() == Path("runs").absolute()
    return "" if is_default else f" --runs {shlex.quote(str(runs))}"


def place_flags(runs: Path, options: SearchOptions) -> str:
    """Return the flags that a printed command must repeat to find the run and its machines.

    Args:
        runs: Folder of all runs.
        options: Those of the command that has just ended.
    """
    given = {
        "--address": options.address,
        "--workers": options.workers,
        "--cpus-per-trial": None if options.cpus_per_trial == 1 else options.cpus_per_trial,
        "--gpus-per-trial": options.gpus_per_trial,
    }
    return runs_flag(runs) + "".join(
        f" {flag} {shlex.quote(value if isinstance(value, str) else f'{value:g}')}"
        for flag, value in given.items()
        if value is not None
    )
