"""What MLflow is told about one trial: a pure function of its record."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from mlflow.entities import Metric

from rxtune.config.configuration import Configuration
from rxtune.results import Evaluation, Failure, TrialRecord, ZeroShot

SEARCH_TAG = "rxtune.search_id"
TRIAL_TAG = "rxtune.trial"

# MLflow names hold word characters, `.`, `-`, space and `/`, which would make another section.
_UNNAMEABLE = re.compile(r"[^\w.\- ]")

_RUN_STATUS: Mapping[str, str] = {
    "running": "RUNNING",
    "finished": "FINISHED",
    # An early stop is a decision, not a fault.
    "stopped": "FINISHED",
    "interrupted": "KILLED",
    "failed": "FAILED",
}


def run_name(record: TrialRecord) -> str:
    """Return the name of a trial's run, such as `t07 rs_rp`."""
    return f"t{record.number:02d} {record.configuration.method}"


def state_of(record: TrialRecord) -> str:
    """Return the state as MLflow shows it: `interrupted` is told apart from `failed`."""
    if record.failure is Failure.INTERRUPTED:
        return "interrupted"
    return record.state.value


def run_status(state: str) -> str:
    """Return MLflow's word for a state of a trial or a search."""
    return _RUN_STATUS[state]


def params(configuration: Configuration) -> dict[str, str]:
    """Return what a trial was trained with, to four digits.

    Few, because MLflow lists all of them beside every run, and its page that compares runs draws
    the first three of the alphabet: what all methods are told apart by, 0 where a method has none
    of it, so that plots over several methods have every trial; and what differs from its default.
    Tags have the rest: `configuration`, every digit, and `absolute_…`, the values behind them.
    """
    default = Configuration().to_json()
    shown = {name: getattr(configuration, name) for name in _ALWAYS} | {
        name: value for name, value in configuration.searched().items() if value != default[name]
    }
    return {name: _text(value) for name, value in shown.items()}


_ALWAYS = ("method", "learning_rate", "sigma", "radius", "pgd_steps")


def _text(value: object) -> str:
    """Return a value as a table shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def exactly(configuration: Configuration) -> str:
    """Return a configuration as `rxtune confirm --configuration` reads it, every digit of it."""
    values = configuration.searched().items()
    return ",".join(f"{k}={str(v).lower() if isinstance(v, bool) else v}" for k, v in values)


def tags(record: TrialRecord) -> dict[str, str]:
    """Return the trial's tags.

    `configuration` is what it was trained with, as `rxtune confirm --configuration` reads it.

    `reason` and `failure`, its kind, are empty rather than absent, so that they can be cleared;
    `losses` is how often the trial was given to another worker.
    """
    zero_shot = record.zero_shot
    found = {
        "state": state_of(record),
        "reason": record.reason or "",
        "failure": record.failure.value if record.failure else "",
        "configuration": exactly(record.configuration),
        **{f"absolute_{name}": f"{value:.4g}" for name, value in record.absolute.items()},
    }
    if record.losses:
        found["losses"] = str(record.losses)
    if record.is_baseline:
        found["baseline"] = "true"
    if zero_shot is not None and zero_shot.worst_language is not None:
        found["worst_language"] = zero_shot.worst_language
    return found


def metrics(record: TrialRecord | None, evaluations: Iterable[Evaluation] = ()) -> list[Metric]:
    """Return the metrics of all evaluations, and of the end if there was one.

    Key, step, timestamp and value come from the journal alone. MLflow keeps one point for each
    such quadruple, so writing them again adds nothing.
    """
    journalled = record.evaluations if record is not None else ()
    by_number = {evaluation.number: evaluation for evaluation in (*journalled, *evaluations)}
    found = [
        metric for number in sorted(by_number) for metric in evaluation_metrics(by_number[number])
    ]
    return found if record is None else found + _end_metrics(record)


def evaluation_metrics(evaluation: Evaluation) -> list[Metric]:
    """Return one evaluation as metrics at step = updates.

    Updates, because a learning curve is read over training, and because all evaluations of a
    trial lie at equal distances on it. The cost is a metric of its own, which MLflow's charts
    accept as their x-axis, and which as a step would put PGD trials beside the others.

    `dev_accuracy` is what the search maximises; it is `dev_macro_f1` where the study selects by
    macro-F1, which then stands beside the accuracy of every language.
    """
    values = {
        f"dev_{evaluation.metric}": evaluation.value,
        **by_language("dev_accuracy", evaluation.accuracy),
        **(
            by_language("dev_macro_f1", evaluation.macro_f1)
            if evaluation.metric == "macro_f1"
            else {}
        ),
        "train_loss": evaluation.train_loss,
        "forward_equivalents": evaluation.forward_equivalents,
    }
    return _at(values, evaluation.time, evaluation.updates)


def _end_metrics(record: TrialRecord) -> list[Metric]:
    # An interrupted trial is taken up again by a resume: its end is not yet known.
    if record.ended is None or state_of(record) in ("running", "interrupted"):
        return []
    values: dict[str, float] = {}
    if record.started is not None:
        values["duration_seconds"] = record.ended - record.started
    if (zero_shot := record.zero_shot) is not None:
        values |= by_language("zero_shot", zero_shot.accuracy)
        values |= by_language("zero_shot_macro_f1", zero_shot.macro_f1)
        values |= result_metrics(zero_shot)
        values |= _over_seeds(record, zero_shot.metric)
    updates = record.evaluations[-1].updates if record.evaluations else 0
    return _at(values, record.ended, updates)


def _over_seeds(record: TrialRecord, metric: str) -> dict[str, float]:
    """Return what a trial on several seeds is judged by: its curve is that of the first alone."""
    if len(record.replicates) < 2 or record.value is None:
        return {}
    mean = round(record.value, 6)
    return {"seeds": len(record.replicates), f"dev_{metric}_mean_over_seeds": mean}


def result_metrics(result: ZeroShot) -> dict[str, float]:
    """Return the means of a result, NaN where there is no such language.

    Accuracies have the same names in every study; where the study selects by macro-F1, the means
    of macro-F1 stand beside them, and their names say so.
    """
    found = _means(replace(result, metric="accuracy"), "")
    if result.metric == "macro_f1":
        found |= _means(result, "_macro_f1")
    if result.generalized_mean is not None:
        suffix = "" if result.metric == "accuracy" else "_macro_f1"
        found[f"generalized_mean{suffix}"] = result.generalized_mean
    # MLflow shows every digit of a metric, and a mean has sixteen.
    return {name: round(value, 6) for name, value in found.items()}


def _means(result: ZeroShot, suffix: str) -> dict[str, float]:
    score = suffix or "_accuracy"
    found = {
        f"target_mean{suffix}": result.target_mean,
        f"held_out_mean{suffix}": result.held_out_mean,
        f"source{score}": result.source_score,
    }
    if result.worst_language is not None:
        found[f"worst_language{score}"] = result.scores[result.worst_language]
    return found


def by_language(group: str, accuracy: Mapping[str, float]) -> dict[str, float]:
    """Name metrics `group/language`: MLflow's charts make a section of what is before the `/`."""
    return {f"{group}/{_UNNAMEABLE.sub('_', lang)}": value for lang, value in accuracy.items()}


def _at(values: Mapping[str, float], time: float, step: int) -> list[Metric]:
    """Return finite values as metrics: MLflow would draw NaN as 0 and infinity as 1.8e308."""
    return [
        Metric(key=key, value=float(value), timestamp=milliseconds(time), step=step)
        for key, value in values.items()
        if math.isfinite(value)
    ]


def milliseconds(time: float) -> int:
    """Return a Unix time in seconds as MLflow counts it."""
    return round(time * 1000)
