"""What a killed search must have in common with one that was never stopped."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from rxtune.results import Evaluation, TrialRecord, TrialState, ZeroShot
from rxtune.search.decisions import SearchStudy
from rxtune.search.plan import examine
from rxtune.search.trial import train_and_evaluate
from rxtune.search.workload import prepare

MODEL = "model.safetensors"
MEASURED = ("duration_seconds", "disk_peak_bytes")
"""Metrics that differ between any two runs."""
Training = tuple[list[Evaluation], ZeroShot, bytes]


# --- one worker: everything is equal


def outcome(folder: Path, name: str) -> dict[str, Any]:
    """Return all that a search has left, times and random ids aside, by kind."""
    run = folder / "runs" / name
    with SearchStudy.open(run / "journal.log", read_only=True) as study:
        trials, raw = study.records(), study._ledger.trials()
        total, problem = study.trials_total, study.recovered
    return {
        "trials asked for": (total, problem),
        "trials": [trial_of(record) for record in trials],
        "parameters": [trial.params for trial in raw],
        "rungs": [trial.system_attrs for trial in raw],
        "best model": {path.name: digest(path) for path in (run / "best").glob("*")},
        "files": sorted(str(path.relative_to(run)) for path in run.rglob("*")),
        "MLflow": sorted(shown_in_mlflow(folder), key=repr),
    }


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return in which kinds two searches differ, and where first."""
    return [where_in(kind, found[kind], expected[kind]) for kind in expected
            if found[kind] != expected[kind]]  # fmt: skip


def where_in(kind: str, found: Any, expected: Any) -> str:
    """Return a kind with the first thing in it that differs."""
    if not isinstance(found, list) or len(found) != len(expected):
        return f"{kind} ({len(found)} for {len(expected)})" if isinstance(found, list) else kind
    pairs = enumerate(zip(found, expected, strict=True))
    return f"{kind} ({next(index for index, (one, other) in pairs if one != other)})"


def trial_of(record: TrialRecord) -> Any:
    """Return all of a trial but its times, and how often it was given to another worker."""
    evaluations = [timeless(evaluation) for evaluation in record.evaluations]
    return replace(record, evaluations=tuple(evaluations), started=None, ended=None, losses=0)


def timeless(evaluation: Evaluation) -> Evaluation:
    """Return an evaluation as if it had taken no time."""
    return replace(evaluation, seconds=0.0, time=0.0)


def digest(path: Path) -> str:
    """Return what tells a file's bytes from others."""
    return sha256(path.read_bytes()).hexdigest()


def shown_in_mlflow(folder: Path) -> list[Any]:
    """Return every run with its status, parameters, tags and the points of its curves."""
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("rxtune")
    assert experiment is not None, "every search has an experiment"
    return [
        (
            run.info.run_name,
            run.info.status,
            sorted(run.data.params.items()),
            sorted(tag for tag in run.data.tags.items() if is_kept(tag[0])),
            points_of(client, run),
        )
        for run in client.search_runs([experiment.experiment_id])
    ]


def is_kept(tag: str) -> bool:
    """Return whether a tag must be equal: MLflow's own, the search's id, lost workers need not."""
    return not tag.startswith("mlflow.") and tag not in ("rxtune.search_id", "losses")


def points_of(client: MlflowClient, run: Run) -> list[tuple[str, int, float]]:
    """Return the points of all curves, as often as MLflow has them."""
    return [
        (key, point.step, point.value)
        for key in sorted(set(run.data.metrics) - set(MEASURED))
        for point in sorted(
            client.get_metric_history(run.info.run_id, key), key=lambda p: (p.step, p.timestamp)
        )
    ]


# --- several workers: what is recorded stays, and is what each configuration gives alone


class Alone:
    """Trains configurations in this process, each once and never stopped."""

    def __init__(self, journal: Path, folder: Path) -> None:
        with SearchStudy.open(journal, read_only=True) as search:
            study = search.study
        ground = examine(study)
        self._workload = prepare(study, ground.task, ground.dev_languages, ground.encoder_folder)
        self._folder = folder
        self._known: dict[str, Training] = {}

    def train(self, record: TrialRecord) -> Training:
        """Return the evaluations, the zero-shot result and the model of a configuration."""
        key = repr(record.configuration)
        if key not in self._known:
            folder = self._folder / f"{len(self._known):03d}"
            evaluations: list[Evaluation] = []
            zero_shot, _ = train_and_evaluate(
                {
                    "number": record.number,
                    "configuration": record.configuration.to_json(),
                    "folder": str(folder),
                    "threads": 1,
                    "device": "cpu",
                },
                self._workload,
                evaluations.append,
            )
            model = (folder / "model" / MODEL).read_bytes()
            self._known[key] = [timeless(e) for e in evaluations], zero_shot, model
        return self._known[key]


def faults(folder: Path, name: str, seen: list[list[TrialRecord]], alone: Alone) -> list[str]:
    """Return what is lost, repeated, changed or wrong in an ended search.

    Args:
        folder: Where its commands ran.
        name: Of the run.
        seen: What the journal held at each kill.
        alone: Trains for comparison.
    """
    run = folder / "runs" / name
    with SearchStudy.open(run / "journal.log", read_only=True) as study:
        after, best, total = study.records(), study.best(), study.trials_total
    found = [fault for before in seen for fault in lost(before, after)]
    if len(after) != total or any(record.ended is None for record in after):
        found.append(f"{len(after)} trials for {total}, or one without an end")
    found += [f"trial {r.number} is not as alone" for r in after if not is_as_alone(r, alone)]
    assert best is not None, "a trial has finished"
    if (run / "best" / MODEL).read_bytes() != alone.train(best)[2]:
        found.append("the best model is not the best trial's")
    return found + doubled(folder, after)


def lost(before: list[TrialRecord], after: list[TrialRecord]) -> list[str]:
    """Return what a journal held at a kill and does not hold, or holds otherwise, at the end."""
    now = {record.number: record for record in after}
    return [
        f"trial {old.number} has changed"
        for old in before
        if (new := now[old.number]).configuration != old.configuration
        or new.evaluations[: len(old.evaluations)] != old.evaluations
        or (old.ended is not None and new != old)
    ]


def is_as_alone(record: TrialRecord, alone: Alone) -> bool:
    """Return whether a trial has the values of its configuration trained alone."""
    evaluations, zero_shot, _ = alone.train(record)
    reached = [timeless(evaluation) for evaluation in record.evaluations]
    if record.state is TrialState.FINISHED:
        return reached == evaluations and record.zero_shot == zero_shot
    return bool(reached) and reached == evaluations[: len(reached)]


def doubled(folder: Path, records: list[TrialRecord]) -> list[str]:
    """Return what MLflow shows twice, not at all, or as still running."""
    runs = shown_in_mlflow(folder)
    found = [f"MLflow: {run[0]} is {run[1]}" for run in runs if run[1] != "FINISHED"]
    if len(runs) != len(records) + 1:
        found.append(f"MLflow: {len(runs)} runs for {len(records)} trials and their search")
    points = {run[0]: Counter((key, step) for key, step, _ in run[4]) for run in runs}
    found += [
        f"MLflow: {run} has a point twice" for run, n in points.items() if max(n.values()) > 1
    ]
    return found
