"""A trial's user attributes: what the search keeps in them, and how it reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from rxtune import results
from rxtune.config import Configuration
from rxtune.results import Evaluation, Failure, Replicate, TrialRecord, ZeroShot

_STATES = {
    TrialState.RUNNING: results.TrialState.RUNNING,
    TrialState.COMPLETE: results.TrialState.FINISHED,
    TrialState.PRUNED: results.TrialState.STOPPED,
    TrialState.FAIL: results.TrialState.FAILED,
}
_EVALUATION = "evaluation_"
_REPLICATE = "replicate_"


def is_interrupted(trial: FrozenTrial) -> bool:
    """Return whether the trial was lost through no fault of its own."""
    return trial.user_attrs.get("failure") == Failure.INTERRUPTED


def retry_attributes(lost: FrozenTrial) -> dict[str, Any]:
    """Return the attributes with which a lost trial's configuration is tried again."""
    kept = ("configuration", "baseline", "start_point")
    attributes = {key: lost.user_attrs[key] for key in kept if key in lost.user_attrs}
    first = began_as(lost)
    return {
        **attributes,
        "retry_of": lost.number,
        "began_as": lost.number if first is None else first,
    }


def began_as(trial: FrozenTrial) -> int | None:
    """Return the number of the first interrupted trial of a training; None: it is this one."""
    attributes = trial.user_attrs
    return attributes.get("began_as", attributes.get("retry_of"))  # older journals have the latter


def evaluation_attributes(evaluation: Evaluation) -> dict[str, Any]:
    """Return the attribute that keeps an evaluation."""
    return {f"{_EVALUATION}{evaluation.number}": evaluation.to_json()}


def evaluations_of(trial: FrozenTrial) -> dict[int, Evaluation]:
    """Return the evaluations kept so far by their number, in their order."""
    numbers = (key.removeprefix(_EVALUATION) for key in trial.user_attrs if _is_evaluation(key))
    return {
        number: Evaluation.from_json(trial.user_attrs[f"{_EVALUATION}{number}"])
        for number in sorted(map(int, numbers))
    }


def has_evaluation(trial: FrozenTrial, number: int) -> bool:
    """Return whether an evaluation is kept."""
    return f"{_EVALUATION}{number}" in trial.user_attrs


def last_evaluation(trial: FrozenTrial) -> int:
    """Return the number of the last evaluation kept, 0 without any."""
    numbers = (key.removeprefix(_EVALUATION) for key in trial.user_attrs if _is_evaluation(key))
    return max(map(int, numbers), default=0)


def _is_evaluation(key: str) -> bool:
    return key.startswith(_EVALUATION)


def replicate_attributes(number: int, replicate: Replicate) -> dict[str, Any]:
    """Return the attribute that keeps replicate `number`, from 1."""
    return {f"{_REPLICATE}{number}": replicate.to_json()}


def replicates_of(trial: FrozenTrial) -> tuple[Replicate, ...]:
    """Return the replicates kept so far, the trial's own seed first."""
    found: list[Replicate] = []
    while (key := f"{_REPLICATE}{len(found) + 1}") in trial.user_attrs:
        found.append(Replicate.from_json(trial.user_attrs[key]))
    return tuple(found)


def failure_attributes(reason: str, failure: Failure) -> dict[str, Any]:
    """Return the attributes of a trial that ends without a result."""
    return {"reason": reason, "failure": failure.value}


def changed(trial: FrozenTrial, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that the trial does not carry yet with just this value."""
    return {
        key: value
        for key, value in attributes.items()
        if key not in trial.user_attrs or _text(trial.user_attrs[key]) != _text(value)
    }


def earlier_answer(trial: FrozenTrial, evaluation: int) -> bool:
    """Return what a report was answered for an evaluation, or True for one after the end."""
    if trial.state == TrialState.PRUNED:
        return evaluation >= last_evaluation(trial)
    return trial.state == TrialState.FAIL


def _text(value: Any) -> str:
    # As text, tuples equal lists and NaN equals NaN, just as they come back from the journal.
    return json.dumps(value, sort_keys=True)


def to_record(trial: FrozenTrial) -> TrialRecord:
    """Return the record of a trial."""
    attributes = trial.user_attrs
    zero_shot = attributes.get("zero_shot")
    return TrialRecord(
        number=trial.number,
        configuration=Configuration.from_json(attributes["configuration"]),
        state=_STATES[trial.state],
        reason=attributes.get("reason"),
        failure=Failure(attributes["failure"]) if "failure" in attributes else None,
        losses=attributes.get("losses", 0),
        retry_of=attributes.get("retry_of"),
        began_as=began_as(trial),
        is_baseline="baseline" in attributes,
        absolute=attributes.get("absolute", {}),
        evaluations=tuple(evaluations_of(trial).values()),
        replicates=replicates_of(trial),
        zero_shot=ZeroShot.from_json(zero_shot) if zero_shot is not None else None,
        started=trial.datetime_start.timestamp() if trial.datetime_start else None,
        ended=trial.datetime_complete.timestamp() if trial.datetime_complete else None,
    )
