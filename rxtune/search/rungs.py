"""Stopping trials early: the rules of a study, for one objective or several, and their reasons.

All of it follows from what the journal holds and a trial's number, so a resumed search stops the
same trials, whichever process asks.
"""

from __future__ import annotations

import math
from binascii import crc32
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from statistics import median

from optuna import Study
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.trial import FrozenTrial, TrialState

from rxtune.config.select import Objective
from rxtune.config.stopping import Asha, Hyperband, Median, Stopping
from rxtune.results import Evaluation
from rxtune.search.in_rungs import RUNG, Halving, InRungs, needed_value

STUDY_NAME = "rxtune"
"""Name of the Optuna study in every journal: with a trial's number it decides the bracket."""

Evaluations = Mapping[int, Sequence[Evaluation]]
"""The evaluations of all trials, failed and stopped ones included, by the trial's number."""


def build_pruner(stopping: Stopping, in_rungs: InRungs) -> BasePruner:
    """Return Optuna's form of the rule that stops trials early, for a search with one objective.

    It keeps nothing that the study does not hold: a new one in a new process answers the same.

    Args:
        stopping: Whose rule it is.
        in_rungs: Of the study that it will be asked about.
    """
    rule = stopping.rule
    if rule is None:
        return NopPruner()
    if isinstance(rule, Median):
        return MedianPruner(
            n_startup_trials=rule.startup_trials, n_warmup_steps=rule.first_rung, interval_steps=1
        )
    if isinstance(rule, Hyperband):
        return _Brackets(rule, in_rungs)
    return Halving(rule, in_rungs)


class _Brackets(BasePruner):
    """Hyperband: halving within each bracket, as Optuna's `HyperbandPruner` does it.

    Optuna knows that one by its type and lets samplers see one bracket's trials only, but not
    before its first answer in a process: the proposals of a resumed search would differ. Nor can
    it be shown each training once.
    """

    def __init__(self, rule: Hyperband, in_rungs: InRungs) -> None:
        self._in_rungs = in_rungs
        self._halvings = [
            Halving(rule, in_rungs, bracket) for bracket in range(len(_bracket_shares(rule)))
        ]

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether the trial must stop, by the rungs of its own bracket."""
        return self._halvings[self._in_rungs.bracket(trial.number)].prune(study, trial)


def watch_rungs(stopping: Stopping, trials: Callable[[], Sequence[FrozenTrial]]) -> InRungs:
    """Return what stands in the rungs of a study.

    Args:
        stopping: The study's.
        trials: Returns all of its trials by number.
    """
    rule = stopping.rule
    if isinstance(rule, Hyperband):
        return InRungs(trials, partial(bracket_of, rule))
    return InRungs(trials)


def bracket_of(rule: Asha, number: int) -> int:
    """Return the bracket that a trial's number draws: that of bracket k begins at the k-th rung.

    Without brackets it is 0 for all. With Hyperband it is drawn as Optuna draws it; brackets that
    begin earlier get more trials. What goes on with an interrupted trial stays in that one's.
    """
    if not isinstance(rule, Hyperband):
        return 0
    shares = _bracket_shares(rule)
    place = crc32(f"{STUDY_NAME}_{number}".encode()) % sum(shares)
    return next(bracket for bracket, end in enumerate(accumulate(shares)) if place < end)


def _bracket_shares(rule: Hyperband) -> list[int]:
    factor = rule.reduction_factor
    brackets = math.floor(math.log(rule.evaluations / rule.first_rung, factor)) + 1
    return [math.ceil(brackets * factor**left / (left + 1)) for left in reversed(range(brackets))]


def stop_reason(
    stopping: Stopping,
    evaluation: Evaluation,
    trial: FrozenTrial,
    trials: Iterable[FrozenTrial],
    in_rungs: InRungs,
) -> str:
    """Return in one line when a trial was stopped, with which value, and which one was needed.

    Args:
        stopping: Whose rule stopped it.
        evaluation: After which it was stopped.
        trial: As it stands after the rule was asked.
        trials: All of them, this one included.
        in_rungs: What stands in the rungs, this one included.
    """
    rule = stopping.rule
    assert rule is not None, "without a rule nothing is stopped"
    if isinstance(rule, Median):
        best = max(trial.intermediate_values.values())
        needed = _median_at(evaluation.number, trials)
        told = f"best dev score so far {best:.4g}, needed the median of {needed:.4g}"
    else:
        standing = in_rungs.values(_last_rung(trial), in_rungs.bracket(trial.number))
        needed = needed_value(rule.reduction_factor, standing)
        told = f"dev score {evaluation.value:.4g}, needed {needed:.4g}"
    return _sentence(stopping, in_rungs.bracket(trial.number), evaluation, told)


def pareto_stop_reason(
    stopping: Stopping,
    objectives: tuple[Objective, ...],
    number: int,
    evaluations: Evaluations,
    bracket: Callable[[int], int],
) -> str | None:
    """Return why a trial of a search with several objectives must stop now; None: it goes on.

    At a rung a trial stops if at least max(n // η, 1) of the n trials in it are better than it on
    every objective: with one objective this is asynchronous halving. Each stands there with its
    first evaluation at or past the rung. So a trial that is best in anything, or as good as the
    best, goes on. With Hyperband the trials of a bracket are compared. The median rule stops what
    is below the median on every objective: its best score so far, and its present cost.

    Args:
        stopping: Whose rule decides.
        objectives: The study's; `compute` is to be low, all others high.
        number: The trial's number.
        evaluations: Those of this trial end with the one that was made just now.
        bracket: Returns a trial's bracket, from 0.
    """
    rule, newest = stopping.rule, evaluations[number][-1]
    if rule is None or newest.number >= rule.evaluations:
        return None
    if isinstance(rule, Median):
        verdict = _median_verdict(rule, objectives, number, evaluations)
    else:
        inside = {n: e for n, e in evaluations.items() if bracket(n) == bracket(number)}
        verdict = _halving_verdict(rule, objectives, number, inside, bracket(number))
    if verdict is None:
        return None
    reached = zip(objectives, newest.objectives, strict=True)
    told = ", ".join(f"{name} {value:.4g}" for name, value in reached)
    return _sentence(stopping, bracket(number), newest, f"{told}; {verdict}")


def _halving_verdict(
    rule: Asha,
    objectives: tuple[Objective, ...],
    number: int,
    evaluations: Evaluations,
    bracket: int,
) -> str | None:
    """Return what speaks against a trial, by the evaluations of all that are in its bracket."""
    own = evaluations[number]
    before = own[-2].number if len(own) > 1 else 0
    for rung in rule.rungs[bracket:]:
        if before < rung <= own[-1].number:
            standing = _standing(rung, objectives, evaluations)
            better = sum(_is_better(other, standing[number]) for other in standing.values())
            needed = max(len(standing) // rule.reduction_factor, 1)
            if better >= needed:
                others = len(standing) - 1
                return f"{better} of {others} others there better in all, stopped from {needed} on"
    return None


def _standing(
    rung: int, objectives: tuple[Objective, ...], evaluations: Evaluations
) -> dict[int, tuple[float, ...]]:
    """Return what every trial in a rung stands there with, higher being better."""
    firsts = {
        number: next((each for each in one if each.number >= rung), None)
        for number, one in evaluations.items()
    }
    return {n: _goodness(objectives, first) for n, first in firsts.items() if first is not None}


def _median_verdict(
    rule: Median, objectives: tuple[Objective, ...], number: int, evaluations: Evaluations
) -> str | None:
    own = evaluations[number]
    newest = own[-1].number
    ended = [
        them
        for n, them in evaluations.items()
        if n != number and them and them[-1].number >= rule.evaluations
    ]
    there = [_goodness(objectives, e) for them in ended for e in them if e.number == newest]
    if newest < rule.first_rung or len(ended) < rule.startup_trials or not there:
        return None
    medians = tuple(median(column) for column in zip(*there, strict=True))
    if not _is_better(medians, _best_so_far(objectives, own)):
        return None
    return f"below the median of {len(there)} full trials in all"


def _best_so_far(objectives: tuple[Objective, ...], own: Sequence[Evaluation]) -> list[float]:
    columns = zip(*(_goodness(objectives, each) for each in own), strict=True)
    # Cost only grows: its lowest value is that of the first evaluation and says nothing.
    return [
        column[-1] if name == "compute" else max(column)
        for name, column in zip(objectives, columns, strict=True)
    ]


def _goodness(objectives: tuple[Objective, ...], evaluation: Evaluation) -> tuple[float, ...]:
    reached = zip(objectives, evaluation.objectives, strict=True)
    return tuple(-value if name == "compute" else value for name, value in reached)


def _is_better(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(mine > its for mine, its in zip(one, other, strict=True))


def _median_at(step: int, trials: Iterable[FrozenTrial]) -> float:
    """Return the median of the finished trials at an evaluation."""
    finished = (t.intermediate_values for t in trials if t.state == TrialState.COMPLETE)
    return median(values[step] for values in finished if step in values)


def _last_rung(trial: FrozenTrial) -> str:
    rungs = (key for key in trial.system_attrs if key.startswith(RUNG))
    return max(rungs, key=lambda key: int(key.removeprefix(RUNG)))


def _sentence(stopping: Stopping, bracket: int, evaluation: Evaluation, told: str) -> str:
    rule, by = stopping.rule, stopping.name
    if isinstance(rule, Hyperband):
        by += f", bracket {bracket + 1} of {len(_bracket_shares(rule))}"
    return f"stopped at evaluation {evaluation.number} of {stopping.evaluations}: {told} ({by})"
