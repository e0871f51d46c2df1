"""ASHA's rungs, kept sorted from report to report, and the rule that looks at them."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from optuna import Study
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from rxtune.config.stopping import Asha
from rxtune.search.changes import Changes
from rxtune.search.trial_attributes import began_as

RUNG = "completed_rung_"
"""Begins the names of the system attributes in which Optuna keeps what a trial has in a rung."""


class InRungs:
    """The values that stand in each rung, every training once.

    A trial that goes on with an interrupted one reports again what that one had reported. It takes
    its place in a rung as soon as it has come there itself.

    It is a function of the trials alone, and only made faster by being kept: a look costs as much
    as has changed since the last one, and not as there are trials.

    Args:
        trials: Returns all trials of the study by number.
        bracket_of: Returns the bracket that a number draws; each bracket has rungs of its own.
    """

    def __init__(
        self,
        trials: Callable[[], Sequence[FrozenTrial]],
        bracket_of: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self._trials = trials
        self._bracket_of = bracket_of
        self._changes: Changes[FrozenTrial] = Changes(lambda trial: trial.state.is_finished())
        self._retry_of: dict[int, int] = {}
        self._seen: set[tuple[int, str]] = set()
        self._standing: dict[tuple[int, str], float] = {}  # by number and rung
        self._values: dict[tuple[int, str], list[float]] = defaultdict(list)  # by bracket and rung

    def bracket(self, number: int) -> int:
        """Return a trial's bracket: what goes on with an interrupted trial stays in that one's."""
        first = began_as(self._trials()[number])
        return self._bracket_of(number if first is None else first)

    def values(self, rung: str, bracket: int = 0) -> list[float]:
        """Return what stands in a rung, the lowest first; not to be changed."""
        self._look()
        return self._values[bracket, rung]

    def rivals(self, number: int, rung: str) -> list[float]:
        """Return what a trial that comes to a rung is compared with, the lowest first.

        What it goes on with is not among them: that would be itself.
        """
        found = self.values(rung, self.bracket(number)).copy()
        for lost in self._earlier(number):
            if (lost, rung) in self._standing:
                del found[bisect_left(found, self._standing[lost, rung])]
        return found

    def _look(self) -> None:
        for trial in self._changes.since(self._trials()):
            if (lost := trial.user_attrs.get("retry_of")) is not None:
                self._retry_of[trial.number] = lost
            for name, value in trial.system_attrs.items():
                if name.startswith(RUNG) and (trial.number, name) not in self._seen:
                    self._seen.add((trial.number, name))
                    self._enter(trial.number, name, value)

    def _enter(self, number: int, rung: str, value: float) -> None:
        """Let a trial stand in a rung, in the place of what it goes on with."""
        values = self._values[self.bracket(number), rung]
        for lost in self._earlier(number):
            if (lost, rung) in self._standing:
                del values[bisect_left(values, self._standing.pop((lost, rung)))]
        self._standing[number, rung] = value
        insort(values, value)

    def _earlier(self, number: int) -> Iterator[int]:
        """Yield the interrupted trials that a trial goes on with."""
        lost = self._retry_of.get(number)
        while lost is not None:
            yield lost
            lost = self._retry_of.get(lost)


class Halving(BasePruner):
    """Successive halving as Optuna's `SuccessiveHalvingPruner` does it, each training once.

    Optuna's own looks through all trials at every rung that a trial reaches: at 10,000 trials that
    was most of what a report cost. A test holds the answers equal.

    Args:
        rule: The study's.
        in_rungs: Of the study that it is asked about.
        bracket: The number of its first rung, from 0.

    Source: Li et al. 2018, arXiv 1810.05934, algorithm 2, where nothing waits: what is not among
        the best 1/η of a rung when it comes there is stopped.
    """

    def __init__(self, rule: Asha, in_rungs: InRungs, bracket: int = 0) -> None:
        self._rule = rule
        self._in_rungs = in_rungs
        self._bracket = bracket

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether the trial must stop, and let it stand in the rungs that it comes to."""
        step = trial.last_step
        if step is None:
            return False
        value = trial.intermediate_values[step]
        number = sum(name.startswith(RUNG) for name in trial.system_attrs)
        while step >= self._evaluation_of(number):
            if math.isnan(value):
                return True
            rung = f"{RUNG}{number}"
            rivals = self._in_rungs.rivals(trial.number, rung)
            study._storage.set_trial_system_attr(trial._trial_id, rung, value)
            if not goes_on(value, rivals, self._rule.reduction_factor):
                return True
            number += 1
        return False

    def _evaluation_of(self, rung: int) -> int:
        """Return the evaluation at which a trial of this bracket comes to a rung."""
        return int(self._rule.first_rung * self._rule.reduction_factor ** (self._bracket + rung))


def goes_on(value: float, rivals: Sequence[float], reduction_factor: int) -> bool:
    """Return whether a value is among the best 1/η of a rung, itself counted.

    With fewer than η in the rung the best one goes on; who is as good as the last to go on does.

    Args:
        value: With which a trial comes to the rung; the higher the better.
        rivals: What stands there, the lowest first.
        reduction_factor: η.
    """
    better = len(rivals) - bisect_right(rivals, value)
    return better < _places(len(rivals) + 1, reduction_factor)


def needed_value(reduction_factor: int, values: Sequence[float]) -> float:
    """Return the least value with which a stopped trial would have gone on.

    Args:
        reduction_factor: η.
        values: What stands in the rung, the trial itself too, the lowest first.
    """
    return values[-_places(len(values), reduction_factor)]


def _places(trials: int, reduction_factor: int) -> int:
    """Return how many of the trials in a rung go on."""
    return max(trials // reduction_factor, 1)
