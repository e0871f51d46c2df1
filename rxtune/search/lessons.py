"""A trial of the journal as a lesson for the sampler."""

from __future__ import annotations

from optuna.trial import FrozenTrial, TrialState

from rxtune.config import Configuration
from rxtune.search.history import Lesson
from rxtune.search.trial_attributes import evaluations_of, last_evaluation

_KINDS = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}


def lesson_of(trial: FrozenTrial) -> Lesson:
    """Return what a trial has to teach, whoever ran it."""
    kind, step = _KINDS[trial.state], last_evaluation(trial)
    values: tuple[float, ...] = ()
    if kind == "finished":
        values = tuple(trial.values)
    elif kind == "stopped":
        reached = evaluations_of(trial)[step]
        values = reached.objectives or (reached.value,)
    return Lesson(
        configuration=Configuration.from_json(trial.user_attrs["configuration"]),
        kind=kind,
        values=values,
        step=step,
        memory={k: v for k, v in trial.system_attrs.items() if is_memory(k)},
    )


def is_memory(key: str) -> bool:
    """Return whether a sampler, and not a stopper, wrote this system attribute."""
    return key.endswith(":generation")
