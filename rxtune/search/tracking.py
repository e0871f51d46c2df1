"""What MLflow is told about a search when it starts and when it ends."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rxtune.track import BestModel, DataUse, Shown, Tracker, git_commit, versions

if TYPE_CHECKING:
    import pyarrow as pa

    from rxtune.search.views import Conclusion, SearchView
    from rxtune.search.warm_start import WarmStart
    from rxtune.search.workload import Workload


def describe_start(
    tracker: Tracker, view: SearchView, workload: Workload, warm_start: WarmStart | None
) -> None:
    """Write parameters, versions and the study to the parent run.

    Args:
        tracker: Of the search.
        view: Of the search.
        workload: What its trials share.
        warm_start: What a new search has learnt from earlier ones; a resumed one has told it.

    Raises:
        TrackingError: MLflow refuses or does not answer.
    """
    study = view.study
    params = {
        "task": view.task.name,
        "encoder": view.encoder,
        "source_language": view.task.source_language,
        "dev_languages": ", ".join(view.dev_languages),
        "units": study.units,
        "unit_m": f"{workload.unit:.6g}",
        "default_learning_rate": f"{workload.learning_rate:g}",
        "epochs": f"{workload.epochs:g}",
        "batch_size": str(workload.batch_size),
        "sampler": study.search.sampler,
        "stopper": study.stopping.name,
        "objective": ", ".join(study.select.objective),
        "metric": study.select.metric,
        "replicates": str(study.search.replicates),
        "trials": str(study.search.trials),
        "seed": str(study.search.seed),
        "workers": str(view.capacity.workers),
    }
    tags = {f"version.{name}": version for name, version in versions().items()}
    commit = git_commit(Path.cwd())
    if commit:
        tags["mlflow.source.git.commit"] = commit
    if warm_start is not None:
        tags["warm_start"] = str(warm_start)
    tracker.start(params, tags, study.to_yaml(), _description(view, warm_start))
    tracker.show(
        Shown(
            search_id=tracker.search_id,
            name=view.name,
            metric=study.select.metric,
            parameters=tuple(study.space.parameters),
            dev_languages=view.dev_languages,
            began=time.time(),
        )
    )
    tracker.used(data_of(view, workload))


def data_of(view: SearchView, workload: Workload) -> list[DataUse]:
    """Return the training data and the dev split of every language, as MLflow lists them."""
    task, chose = view.task, set(view.dev_languages)
    tables = [(workload.source_language, "train", "training", workload.train)]
    tables += [
        (language, "dev", "validation" if language in chose else "evaluation", table)
        for language, table in workload.dev.items()
    ]
    return [
        DataUse(
            name=f"{task.name} {language} {split}",
            context=context,
            source=task.origin,
            digest=_digest(table),
            rows=table.num_rows,
        )
        for language, split, context, table in tables
    ]


def _digest(table: pa.Table) -> str:
    """Return what tells the tokens of a table from others: a gigabyte takes a second."""
    digest = hashlib.blake2b(digest_size=8)
    for chunk in table.column("input_ids").chunks:
        digest.update(chunk.flatten().to_numpy(zero_copy_only=False).data)
    return digest.hexdigest()


def describe_end(tracker: Tracker, state: str, conclusion: Conclusion, view: SearchView) -> None:
    """Write the outcome to the parent run, and which model is the best."""
    if conclusion.best_trial is not None:
        tracker.found(
            BestModel(
                trial=conclusion.best_trial,
                name=f"{view.name}-best",
                place=str(view.folder / "best"),
                parameters={
                    name.removeprefix("best."): value
                    for name, value in conclusion.tags.items()
                    if name.startswith("best.")
                },
            )
        )
    tracker.search_ended(
        state,
        metrics=conclusion.metrics,
        tags=conclusion.tags,
        description=conclusion.description,
        artifacts=conclusion.artifacts,
    )


def _description(view: SearchView, warm_start: WarmStart | None) -> str:
    learnt = "" if warm_start is None else f" Warm start: {warm_start}."
    return (
        f"**rxtune search `{view.name}`**: {view.study.search.trials} trials of robust fine-tuning"
        f" of `{view.encoder}` on `{view.task.name}`, chosen by {_chosen_by(view)}."
        f"{learnt} It is running; the result will stand here."
    )


def _chosen_by(view: SearchView) -> str:
    """Return what a trial is judged by, such as `mean dev accuracy in qaf, qag`."""
    select = view.study.select
    first, *others = select.objective
    languages = (view.task.source_language,) if first == "source" else view.dev_languages
    kind = f"{first} " if len(languages) > 1 else ""
    score = "macro-F1" if select.metric == "macro_f1" else "accuracy"
    front = f", with a Pareto front of {', '.join(select.objective)}" if others else ""
    return f"{kind}dev {score} in {', '.join(languages)}{front}"
