"""Stopping trials early: Optuna's pruner, and what its rungs say about a stop."""

from __future__ import annotations

from collections.abc import Iterable

from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import FrozenTrial

from rxtune.config import Asha
from rxtune.results import Evaluation

_RUNG = "completed_rung_"


def build_pruner(asha: Asha | None) -> BasePruner:
    """Return the rule that stops trials early; without ASHA it never does."""
    if asha is None:
        return NopPruner()
    return SuccessiveHalvingPruner(
        min_resource=asha.first_rung,
        reduction_factor=asha.reduction_factor,
        min_early_stopping_rate=0,
    )


def stop_reason(
    asha: Asha, evaluation: Evaluation, stopped: FrozenTrial, trials: Iterable[FrozenTrial]
) -> str:
    """Return in one line when a trial was stopped, with which value, and which one was needed."""
    needed = needed_value(asha.reduction_factor, _last_rung(stopped), trials)
    return (
        f"stopped at evaluation {evaluation.number} of {asha.evaluations}: "
        f"dev accuracy {evaluation.value:.4g}, needed {needed:.4g}"
    )


def needed_value(reduction_factor: int, rung: str, trials: Iterable[FrozenTrial]) -> float:
    """Return the least value with which a stopped trial would have gone on.

    The best 1/η of a rung go on, the trial itself counted; with fewer than η in it, the best one.
    """
    values = [t.system_attrs[rung] for t in trials if rung in t.system_attrs]
    promoted = max(len(values) // reduction_factor, 1)
    return float(sorted(values, reverse=True)[promoted - 1])


def _last_rung(trial: FrozenTrial) -> str:
    rungs = (key for key in trial.system_attrs if key.startswith(_RUNG))
    return max(rungs, key=lambda key: int(key.removeprefix(_RUNG)))
