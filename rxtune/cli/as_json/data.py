"""A task, its data and the forecast of a search, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rxtune.cli.as_json.document import Document
from rxtune.cli.as_json.search import study_document

if TYPE_CHECKING:
    from rxtune.data import DataSummary, UnknownShare
    from rxtune.data.task import Task
    from rxtune.search.forecast import Checked, Forecast


def check_document(checked: Checked) -> Document:
    """Return the data of a study and the forecast of its cost."""
    ground = checked.ground
    return {
        "task": task_document(ground.task, checked.data, checked.unknown),
        "encoder": ground.encoder,
        "dev_languages": ground.dev_languages,
        "study": study_document(ground.study),
        "forecast": _forecast(checked.forecast),
    }


def _forecast(forecast: Forecast) -> Document:
    """Return what a search costs if no trial is stopped early: an upper bound."""
    return {
        "device": forecast.device,
        "precision": forecast.precision,
        "place": forecast.place,
        "trials": forecast.trials,
        "at_a_time": forecast.at_a_time,
        "seconds": forecast.total_seconds / min(forecast.at_a_time, forecast.trials),
        "training_seconds": forecast.total_seconds,
        "evaluations": forecast.evaluations,
        "evaluation_seconds": forecast.evaluation_seconds,
        "final_seconds": forecast.final_seconds,
        "methods": [
            {
                "parameters": method.configuration.searched(),
                "step_seconds": method.step_seconds,
                "updates": method.updates,
                "forward_equivalents": method.forward_equivalents,
                "trial_seconds": forecast.trial_seconds(method),
            }
            for method in forecast.methods
        ],
        "disk": {
            "checkpoint": forecast.disk.checkpoint_bytes,
            "model": forecast.disk.model_bytes,
            "peak": forecast.disk.peak_bytes,
            "most": forecast.disk.most_bytes,
        },
        "notes": forecast.notes,
    }


def task_document(
    task: Task, data: DataSummary | None = None, unknown: Iterable[UnknownShare] = ()
) -> Document:
    """Return a task and, where its data was read, the rows and labels of every split."""
    return {
        "task": task.name,
        "title": task.title,
        "origin": task.origin,
        "is_local": task.is_local(),
        "labels": task.labels,
        "source_language": task.source_language,
        "target_languages": task.target_languages,
        "dev_languages": task.dev_languages,
        "is_pair": task.is_pair,
        "parallel": task.parallel,
        "default_model": task.default_model,
        "epochs": task.epochs,
        "batch_size": task.batch_size,
        "max_length": task.max_length,
        "data": None if data is None else _data(data, unknown),
    }


def _data(data: DataSummary, unknown: Iterable[UnknownShare]) -> Document:
    shares = {share.language: share.share for share in unknown}
    return {
        "rows": [
            {
                "language": language,
                "split": split,
                "rows": rows,
                "labels": data.labels.get((language, split)),
                "dropped": data.dropped.get((language, split), 0),
            }
            for (language, split), rows in data.rows.items()
        ],
        "unknown_tokens": shares or None,
        "warnings": data.warnings,
    }
