"""`rxtune.search` and `rxtune.confirm`: the verbs by plain values, as a notebook calls them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from rxtune.api import train
from rxtune.api.runs import Run, load_run
from rxtune.config import FLAGS, Configuration, did_you_mean
from rxtune.errors import StudyError
from rxtune.search.asked_study import read_study
from rxtune.search.options import SearchOptions
from rxtune.search.run_folder import default_name

if TYPE_CHECKING:
    from rxtune.search.confirmation import OnResult
    from rxtune.search.views import Watch

KEYS: Mapping[str, str] = {
    flag.removeprefix("--").replace("-", "_"): key for key, flag in FLAGS.items()
}
"""Dotted key of a study by the name of its setting, which is that of the flag."""


class Settings(TypedDict, total=False):
    """What may be said in place of a space file's own word; the names are those of the flags."""

    task: str | Path
    model: str | Path
    units: str
    sampler: str
    trials: int
    seed: int
    startup_trials: int
    time_budget: str
    compute_budget: str | float
    plateau: int
    replicates: int
    keep: int
    stopper: str
    languages: str | Sequence[str]
    metric: str
    objective: str | Sequence[str]
    epochs: float
    batch_size: int
    max_length: int


def search(
    space: str | Path | None = None,
    *,
    name: str | None = None,
    root: str | Path = "runs",
    resume: bool = False,
    warm_start: Iterable[str] = (),
    workers: int | None = None,
    cpus_per_trial: float = 1.0,
    gpus_per_trial: float | None = None,
    address: str | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
    experiment: str = "rxtune",
    watch: Watch | None = None,
    **settings: Unpack[Settings],
) -> Run:
    """Search a space and return the run; prints nothing, and blocks until the search has ended.

    Args:
        space: the space file; may be left out where a run is resumed.
        name: of the run; None: made of the space file's name and the date.
        root: folder of all runs.
        resume: whether to go on with the run `name`.
        warm_start: runs whose results a new search starts from.
        workers: trials at a time; None: as many as the resources hold.
        cpus_per_trial: CPUs that a trial has for itself.
        gpus_per_trial: GPUs, or a share of one; None: one where there is one.
        address: of a Ray cluster, or `auto`; None: this machine.
        storage: folder or URI that all nodes reach.
        tracking_uri: MLflow store; None: `mlflow.db` in the working directory.
        experiment: MLflow experiment.
        watch: a context manager that is entered with a `SearchView` while trials run.
        **settings: what the flags of `rxtune search` say: `task`, `model`, `trials`, `seed`,
            `languages`, `sampler`, `stopper`, `epochs` and so on; see `Settings`.

    Raises:
        RxtuneError: one of its kinds; see `rxtune.errors`.
        KeyboardInterrupt: the search was ended by Ctrl-C; `resume=True` goes on with it.
    """
    if resume and name is None:
        raise StudyError("resume: name the run to go on with, such as name='first'")
    root = Path(root)
    options = SearchOptions(
        name=default_name(root, Path(space or "search").stem) if name is None else name,
        root=root, resume=resume, warm_start=tuple(warm_start), workers=workers,
        cpus_per_trial=cpus_per_trial, gpus_per_trial=gpus_per_trial, address=address,
        storage=storage, tracking_uri=tracking_uri, experiment=experiment,
    )  # fmt: skip
    train.bring_back(options)
    result = train.search(read_study(space, options, _overrides(settings)), options, watch=watch)
    _warn(result.all_problems)
    if result.interrupted:
        raise KeyboardInterrupt(
            f"rxtune.search(name={options.name!r}, resume=True) goes on with the search"
        )
    return load_run(options.name, root)


def confirm(
    run: str | Run,
    *,
    root: str | Path = "runs",
    seeds: int = 5,
    top: int = 1,
    trials: Sequence[int] = (),
    configurations: Sequence[str | Configuration] = (),
    workers: int | None = None,
    cpus_per_trial: float = 1.0,
    gpus_per_trial: float | None = None,
    address: str | None = None,
    on_result: OnResult | None = None,
) -> Run:
    """Retrain what a search chose on fresh seeds, test each once, and return the run with that.

    What an earlier call has tested is not tested again; more seeds, trials or configurations
    extend it. The result is in `Run.verdict`, `Run.contrasts` and `Run.confirmed`.

    Args:
        run: from `search` or `load_run`, or its name.
        root: folder of all runs, where a name is given.
        seeds: retrainings of each configuration.
        top: how many of the best robust trials to confirm, beside plain fine-tuning.
        trials: numbers of further trials, however they ended.
        configurations: further ones, as text such as `method=rs_rp,sigma=0.5`.
        workers: trainings at a time; None: as many as the resources hold.
        cpus_per_trial: CPUs that a training has for itself.
        gpus_per_trial: GPUs, or a share of one; None: one where there is one.
        address: of a Ray cluster, or `auto`; None: this machine.
        on_result: told of every run that ends, how many have ended, and how many there are.

    Raises:
        RxtuneError: one of its kinds; see `rxtune.errors`.
    """
    name, root = (run.name, run.folder.parent) if isinstance(run, Run) else (run, Path(root))
    options = SearchOptions(
        name=name, root=root, workers=workers, cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial, address=address,
    )  # fmt: skip
    found = train.confirm(
        options,
        seeds=seeds,
        top=top,
        trials=trials,
        configurations=configurations,
        on_result=on_result,
    )
    _warn(found.problems)
    return load_run(name, root)


def _overrides(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings by dotted key of the study."""
    for name in settings:
        if name not in KEYS:
            raise TypeError(f"search() has no setting {name!r}; {did_you_mean(name, KEYS)}")
    return {
        KEYS[name]: str(value) if isinstance(value, Path) else value
        for name, value in settings.items()
    }


def _warn(problems: Iterable[str]) -> None:
    for problem in problems:
        warnings.warn(problem, RuntimeWarning, stacklevel=3)
