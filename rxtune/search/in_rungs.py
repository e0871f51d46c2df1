"""The trials that stand in the rungs, kept up to date for the rule that compares them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    earlier: tuple[int, ...] = ()
    """The interrupted trials whose training this one goes on with, the latest first."""


def each_once(trials: Iterable[InRung]) -> list[InRung]:
    """Return trials that have reached a rung so that no rung holds a training twice.

    A trial that goes on with an interrupted one reports again what that one had reported. It takes
    its place in a rung as soon as it has come there itself.

    Args:
        trials: Those that are compared with each other.
    """
    trials = list(trials)
    taken: dict[int, set[str]] = {}
    for trial in trials:
        for lost in trial.earlier:
            taken.setdefault(lost, set()).update(trial.system_attrs)
    return [_without(trial, taken.get(trial.number, set())) for trial in trials]


def _without(trial: InRung, rungs: set[str]) -> InRung:
    if not rungs:
        return trial
    left = {name: value for name, value in trial.system_attrs.items() if name not in rungs}
    return replace(trial, system_attrs=left)


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
        self._retry_of: dict[int, int] = {}

    def all(self) -> list[InRung]:
        """Return those that have ended, then those that run; see `each_once` about retries."""
        for trial in self._changes.since(self._trials()):
            self._open.pop(trial.number, None)
            if (lost := trial.user_attrs.get("retry_of")) is not None:
                self._retry_of[trial.number] = lost
            attributes = trial.system_attrs
            if any(name.startswith(RUNG) for name in attributes):
                known = InRung(trial.number, attributes, tuple(self._earlier(trial.number)))
                self._put(known, trial.state.is_finished())
        return [*self._ended, *self._open.values()]

    def rivals_of(self, number: int, among: Callable[[int], bool]) -> list[InRung]:
        """Return what a trial is compared with at its next rung, each training once.

        Args:
            number: The trial. What it stands in already is among them, what it goes on with is
                not: in the next rung that would be itself.
            among: Says by number which trials it may be compared with.
        """
        known = self.all()
        own = set(self._earlier(number))
        return [t for t in each_once(t for t in known if among(t.number)) if t.number not in own]

    def _earlier(self, number: int) -> Iterator[int]:
        """Yield the interrupted trials that a trial goes on with."""
        lost = self._retry_of.get(number)
        while lost is not None:
            yield lost
            lost = self._retry_of.get(lost)

    def _put(self, trial: InRung, has_ended: bool) -> None:
        if has_ended:
            self._ended.append(trial)
        else:
            self._open[trial.number] = trial


class Halving(BasePruner):
    """Optuna's successive halving, shown the trials in the rungs alone, each training once.

    It looks for them among all trials, at every rung that a trial reaches.

    Args:
        rule: The study's.
        in_rungs: Of the study that it is asked about.
        bracket: The number of its first rung, from 0.
        among: Says by number which trials are in its bracket.
    """

    def __init__(
        self,
        rule: Asha,
        in_rungs: InRungs,
        bracket: int = 0,
        among: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self._in_rungs = in_rungs
        self._among = among
        self._halving = SuccessiveHalvingPruner(
            min_resource=rule.first_rung,
            reduction_factor=rule.reduction_factor,
            min_early_stopping_rate=bracket,
        )

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether the trial must stop."""
        seen = SimpleNamespace(
            get_trials=lambda deepcopy: self._in_rungs.rivals_of(trial.number, self._among),
            direction=study.direction,
            _storage=study._storage,
        )
        return self._halving.prune(cast(Study, seen), trial)
