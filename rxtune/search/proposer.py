"""What comes next in a search: a start point, or what the sampler makes of all trials so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from rxtune.config import Configuration, Study
from rxtune.config.canonical import canonical
from rxtune.search.history import Lesson, known
from rxtune.search.lessons import is_memory, lesson_of
from rxtune.search.proposals import Proposal, as_proposal, propose
from rxtune.search.trial_attributes import is_interrupted
from rxtune.search.warm_start import WarmStart


class Proposer:
    """Proposes trials of one search; what it keeps is read from the journal and only read faster.

    Args:
        warm_start: What the journal keeps of earlier searches, or None.
    """

    def __init__(self, warm_start: Sequence[Mapping[str, Any]] | None) -> None:
        self._warm_start = None if warm_start is None else WarmStart.from_json(warm_start)
        self._lessons: dict[int, Lesson] = {}

    def next(
        self, study: Study, trials: Sequence[FrozenTrial]
    ) -> tuple[Proposal, dict[str, Any]] | None:
        """Return the next proposal and what marks its trial, or None if nothing is left to try."""
        begun = {trial.user_attrs.get("start_point") for trial in trials}
        for index, point in enumerate(self.start_points(study)):
            if index not in begun:
                marks = {"start_point": index} | ({"baseline": True} if index == 0 else {})
                return as_proposal(study.space, point), marks
        proposal = propose(study, len(trials), self._taught(trials))
        return None if proposal is None else (proposal, {})

    def start_points(self, study: Study) -> list[Configuration]:
        """Return the baseline, what earlier searches found best, and the study's own points.

        Typical points of methods that earlier searches have settled are left out.
        """
        baseline, *own = study.start_points()
        earlier = self._warm_start.start_points if self._warm_start else []
        settled = {point.method for point in earlier}
        named = len(study.search.points)
        rest = [p for place, p in enumerate(own) if place < named or p.method not in settled]
        distinct: dict[Configuration, Configuration] = {}
        for point in (baseline, *earlier, *rest):
            distinct.setdefault(canonical(point), point)
        return list(distinct.values())

    def _taught(self, trials: Sequence[FrozenTrial]) -> list[Lesson]:
        """Return what all trials so far, and those of earlier searches, have to teach.

        Those of earlier searches say nothing once there are own scores but no baseline to add
        their gains to.
        """
        own = [self._lesson(trial) for trial in trials if not is_interrupted(trial)]
        baseline = _baseline_values(trials)
        if self._warm_start is None or (baseline is None and known(own)):
            return own  # without the baseline gains cannot be compared with own scores
        return [*self._warm_start.lessons(baseline), *own]

    def _lesson(self, trial: FrozenTrial) -> Lesson:
        lesson = self._lessons.get(trial.number) or lesson_of(trial)
        if trial.state.is_finished():
            self._lessons[trial.number] = lesson
        return lesson


def again(lost: FrozenTrial) -> Proposal:
    """Return the proposal of an interrupted trial once more."""
    return Proposal(
        configuration=Configuration.from_json(lost.user_attrs["configuration"]),
        params=lost.params,
        distributions=lost.distributions,
        memory={k: v for k, v in lost.system_attrs.items() if is_memory(k)},
    )


def _baseline_values(trials: Sequence[FrozenTrial]) -> tuple[float, ...] | None:
    for trial in trials:
        if "baseline" in trial.user_attrs and trial.state == OptunaState.COMPLETE:
            return tuple(trial.values)
    return None
