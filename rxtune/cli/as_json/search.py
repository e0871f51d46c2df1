"""A search as JSON: how it stands, how it ended, and its trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rxtune.api.progress import rung_of
from rxtune.cli.as_json.document import Document
from rxtune.cli.wording import task_name

if TYPE_CHECKING:
    from rxtune.api import Progress, Status
    from rxtune.config import Study
    from rxtune.results import TrialRecord, ZeroShot
    from rxtune.search.views import SearchResult


def status_document(status: Status) -> Document:
    """Return how a run stands.

    `state` is running, ended or broken off; `best` and `baseline` are numbers of trials; `gain` is
    the best one's dev score above the baseline's; `cost.plain_trainings` counts in trainings of
    plain fine-tuning to the end; `seconds_left` is null unless the search runs.
    """
    progress = status.progress
    is_running = status.state == "running"
    return {
        "run": status.name,
        "folder": status.folder,
        "state": status.state,
        "why": status.why,
        "study": study_document(progress.study),
        "counts": _counts(progress),
        "best": None if progress.best is None else progress.best.number,
        "baseline": None if progress.baseline is None else progress.baseline.number,
        "gain": progress.gain,
        "best_model": status.best_model,
        "cost": {
            "forward_equivalents": progress.forward_equivalents,
            "plain_trainings": progress.plain_trainings,
            "compute_share": progress.compute_share,
        },
        "began": progress.began,
        "heard": progress.heard,
        "looked": status.looked,
        "seconds_left": progress.seconds_left if is_running else None,
        "silent": [record.number for record, _ in progress.silent] if is_running else [],
        "trials": [trial_document(record, progress.study) for record in progress.records],
    }


def search_document(result: SearchResult) -> Document:
    """Return how a search ended.

    `winner`, `best_robust`, `best_plain` and `default_plain` are numbers of trials;
    `gain_over_best_plain` is of the best robust one's dev score; `front` are the trials of the
    Pareto front, null with one objective; `problems` is what MLflow or the storage did not take.
    """
    from rxtune.api import summary_of
    from rxtune.report import pareto_front

    view, study, summary = result.view, result.view.study, summary_of(result)
    objectives = study.select.objective
    best = ("winner", "best_robust", "best_plain", "default_plain")
    found = {name: getattr(summary, name) for name in best}
    several = len(objectives) > 1
    front = [r.number for r in pareto_front(result.records, objectives)] if several else None
    return {
        "run": view.name,
        "folder": view.folder,
        "ended_by": result.ended_by,
        "seconds": result.seconds,
        "study": study_document(study),
        "encoder": view.encoder,
        "dev_languages": view.dev_languages,
        "counts": {
            "asked": study.search.trials,
            **{state.value: count for state, count in summary.by_state.items()},
            "cut_off": summary.cut_off,
        },
        **{name: None if one is None else one.number for name, one in found.items()},
        "gain_over_best_plain": summary.gain,
        "front": front,
        "best_model": result.best_model,
        "cost": {"forward_equivalents": summary.spent, "saved_share": summary.saved_share},
        "disk_peak": result.disk_peak,
        "tracking_uri": view.tracking_uri,
        "warnings": summary.warnings,
        "problems": result.all_problems,
        "trials": [trial_document(record, study) for record in result.records],
    }


def trial_document(record: TrialRecord, study: Study) -> Document:
    """Return a trial.

    `rung` is the evaluation of the last rung that it has come to; `curve` the dev score of every
    evaluation; `dev_score` the last one, a mean over `seeds`; `zero_shot` is of dev, and null
    unless it ran to its end.
    """
    return {
        "trial": record.number,
        "state": record.state,
        "failure": record.failure,
        "reason": record.reason,
        "is_baseline": record.is_baseline,
        "parameters": record.configuration.searched(),
        "absolute": record.absolute,
        "dev_score": record.value,
        "objectives": record.objectives or None,
        "seeds": max(1, len(record.replicates)),
        "evaluations": len(record.evaluations),
        "rung": rung_of(study, record),
        "curve": [evaluation.value for evaluation in record.evaluations],
        "zero_shot": zero_shot_document(record.zero_shot),
        "forward_equivalents": record.forward_equivalents,
        "seconds": record.evaluations[-1].seconds if record.evaluations else None,
        "losses": record.losses,
        "retry_of": record.retry_of,
        "started": record.started,
        "ended": record.ended,
    }


def zero_shot_document(result: ZeroShot | None) -> Document | None:
    if result is None:
        return None
    worst = result.worst_language
    return {
        "split": result.split,
        "metric": result.metric,
        "accuracy": result.accuracy,
        "macro_f1": result.macro_f1 or None,
        "source": result.source_score,
        "target_mean": result.target_mean,
        "held_out_mean": result.held_out_mean,
        "worst": result.scores[worst] if worst else None,
        "worst_language": worst,
    }


def study_document(study: Study) -> Document:
    return {
        "task": task_name(study),
        "model": study.model,
        "evaluations": study.stopping.evaluations,
        "stopper": study.stopping.name,
        "metric": study.select.metric,
        "objective": study.select.objective,
    }


def _counts(progress: Progress) -> Document:
    return {
        "asked": progress.asked,
        "ended": progress.ended,
        "running": len(progress.running),
        "finished": progress.finished,
        "stopped": progress.stopped,
        "failed": sum(progress.failed.values()),
        "cut_off": progress.cut_off,
    }
