"""A trial's user attributes: what the search keeps in them, and how it reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from rxtune import results
from rxtune.config import Configuration
from rxtune.results import Evaluation, TrialRecord, ZeroShot

_STATES = {
    TrialState.RUNNING: results.TrialState.RUNNING,
    TrialState.COMPLETE: results.TrialState.FINISHED,
    TrialState.PRUNED: results.TrialState.STOPPED,
    TrialState.FAIL: results.TrialState.FAILED,
}
_RESERVED = frozenset(
    {"configuration", "baseline", "start_point", "retry_of", "zero_shot", "reason", "interrupted"}
)
_EVALUATION = "evaluation_"


def is_reserved(key: str) -> bool:
    """Return whether the search itself writes this attribute."""
    return key in _RESERVED or key.startswith(_EVALUATION)


def is_interrupted(trial: FrozenTrial) -> bool:
    """Return whether the trial was lost through no fault of its own."""
    return "interrupted" in trial.user_attrs


def is_counted(trial: FrozenTrial) -> bool:
    """Return whether the trial uses up one of those asked for."""
    return trial.state != TrialState.WAITING and not is_interrupted(trial)


def retry_attributes(lost: FrozenTrial) -> dict[str, Any]:
    """Return the attributes with which a lost trial's configuration is tried again."""
    kept = ("configuration", "baseline")
    attributes = {key: lost.user_attrs[key] for key in kept if key in lost.user_attrs}
    return {**attributes, "retry_of": lost.number}


def evaluation_attributes(evaluation: Evaluation) -> dict[str, Any]:
    """Return the attribute that keeps an evaluation."""
    return {f"{_EVALUATION}{evaluation.number}": evaluation.to_json()}


def failure_attributes(reason: str, interrupted: bool) -> dict[str, Any]:
    """Return the attributes of a trial that ends without a result."""
    return {"reason": reason, "interrupted": True} if interrupted else {"reason": reason}


def changed(trial: FrozenTrial, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that the trial does not carry yet with just this value."""
    return {
        key: value
        for key, value in attributes.items()
        if key not in trial.user_attrs or _text(trial.user_attrs[key]) != _text(value)
    }


def _text(value: Any) -> str:
    # As text, tuples equal lists and NaN equals NaN, just as they come back from the journal.
    return json.dumps(value, sort_keys=True)


def to_record(trial: FrozenTrial) -> TrialRecord:
    """Return the record of a trial that is not only enqueued."""
    attributes = trial.user_attrs
    zero_shot = attributes.get("zero_shot")
    return TrialRecord(
        number=trial.number,
        configuration=Configuration.from_json(attributes["configuration"]),
        state=_STATES[trial.state],
        reason=attributes.get("reason"),
        is_baseline="baseline" in attributes,
        absolute=attributes.get("absolute", {}),
        evaluations=tuple(
            Evaluation.from_json(attributes[f"{_EVALUATION}{number}"])
            for number in sorted(trial.intermediate_values)
        ),
        zero_shot=ZeroShot.from_json(zero_shot) if zero_shot is not None else None,
        started=trial.datetime_start.timestamp() if trial.datetime_start else None,
        ended=trial.datetime_complete.timestamp() if trial.datetime_complete else None,
    )
