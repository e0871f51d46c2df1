"""The trials that stand in ASHA's rungs, kept up to date for the rule that compares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from optuna import Study
from optuna.pruners import BasePruner, SuccessiveHalvingPruner
from optuna.trial import FrozenTrial

from rxtune.config.stopping import Asha
from rxtune.search.changes import Changes

RUNG = "completed_rung_"
"""Begins the names of the system attributes in which Optuna keeps what a trial has in a rung."""


@dataclass(frozen=True, slots=True)
class InRung:
    """What is known of a trial that has reached a rung."""

    number: int
    system_attrs: Mapping[str, Any]
    """By `completed_rung_k` the value with which it stands in rung k."""


class InRungs:
    """Finds the trials that have reached a rung.

    Args:
        trials: Returns all trials by number, at every call; ended ones stay as they are.
    """

    def __init__(self, trials: Callable[[], Sequence[FrozenTrial]]) -> None:
        self._trials = trials
        self._changes: Changes[FrozenTrial] = Changes(lambda trial: trial.state.is_finished())
        self._ended: list[InRung] = []
        self._open: dict[int, InRung] = {}

    def all(self) -> list[InRung]:
        """Return those that have ended, then those that run."""
        for trial in self._changes.since(self._trials()):
            self._open.pop(trial.number, None)
            attributes = trial.system_attrs
            if any(name.startswith(RUNG) for name in attributes):
                self._put(InRung(trial.number, attributes), trial.state.is_finished())
        return [*self._ended, *self._open.values()]

    def _put(self, trial: InRung, has_ended: bool) -> None:
        if has_ended:
            self._ended.append(trial)
        else:
            self._open[trial.number] = trial


class Halving(BasePruner):
    """Optuna's successive halving, shown the trials in the rungs alone.

    It looks for them among all trials, at every rung that a trial reaches.

    Args:
        rule: The study's.
        in_rungs: Of the study that it is asked about.
    """

    def __init__(self, rule: Asha, in_rungs: InRungs) -> None:
        self._in_rungs = in_rungs
        self._halving = SuccessiveHalvingPruner(
            min_resource=rule.first_rung,
            reduction_factor=rule.reduction_factor,
            min_early_stopping_rate=0,
        )

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether the trial must stop."""
        seen = SimpleNamespace(
            get_trials=lambda deepcopy: self._in_rungs.all(),
            direction=study.direction,
            _storage=study._storage,
        )
        return self._halving.prune(cast(Study, seen), trial)
