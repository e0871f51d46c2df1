"""What comes next in a search: a start point, or what the sampler makes of all trials so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from rxtune.config import Configuration, Study
from rxtune.config.canonical import canonical
from rxtune.search.changes import Changes
from rxtune.search.lessons import Experience, Lessons, is_memory
from rxtune.search.proposals import Grid, Proposal, as_proposal, propose
from rxtune.search.warm_start import WarmStart


class Proposer:
    """Proposes trials of one search; what it keeps is read from the journal and only read faster.

    Args:
        study: What is searched and how; in nothing that matters here does it ever change.
        warm_start: What the journal keeps of earlier searches, or None.
    """

    def __init__(self, study: Study, warm_start: Sequence[Mapping[str, Any]] | None) -> None:
        self._study = study
        self._warm_start = (
            None if warm_start is None else WarmStart.from_json(warm_start, study.space)
        )
        self._lessons = Lessons(minimised=study.select.objective[0] == "compute")
        self._changes: Changes[FrozenTrial] = Changes(lambda trial: trial.state.is_finished())
        self._begun: set[int] = set()  # start points
        self._baseline: tuple[float, ...] | None = None  # what it reached

    def next(self, trials: Sequence[FrozenTrial]) -> tuple[Proposal, dict[str, Any]] | None:
        """Return the next proposal and what marks its trial, or None if nothing is left to try."""
        self._look_at(trials)
        for index, point in enumerate(self.start_points):
            if index not in self._begun:
                marks = {"start_point": index} | ({"baseline": True} if index == 0 else {})
                return as_proposal(self._study.space, point), marks
        experience = self._experience(trials)
        if self._study.search.sampler == "grid":
            proposal = self._grid.next(experience.tried)
        else:
            proposal = propose(self._study, len(trials), experience)
        return None if proposal is None else (proposal, {})

    @cached_property
    def _grid(self) -> Grid:
        return Grid(self._study)

    def _look_at(self, trials: Sequence[FrozenTrial]) -> None:
        """Note which start points were begun, and what the baseline has reached."""
        for trial in self._changes.since(trials):
            attributes = trial.user_attrs
            if "start_point" in attributes:
                self._begun.add(attributes["start_point"])
            is_done = trial.state == OptunaState.COMPLETE
            if self._baseline is None and "baseline" in attributes and is_done:
                self._baseline = tuple(trial.values)

    @cached_property
    def start_points(self) -> list[Configuration]:
        """The baseline, what earlier searches found best, and the study's own points.

        Typical points of methods that earlier searches have settled are left out.
        """
        baseline, *own = self._study.start_points()
        earlier = self._warm_start.start_points if self._warm_start else []
        settled = {point.method for point in earlier}
        named = len(self._study.search.points)
        rest = [p for place, p in enumerate(own) if place < named or p.method not in settled]
        distinct: dict[Configuration, Configuration] = {}
        for point in (baseline, *earlier, *rest):
            distinct.setdefault(canonical(point), point)
        return list(distinct.values())

    def _experience(self, trials: Sequence[FrozenTrial]) -> Experience:
        """Return what all trials so far, and those of earlier searches, have to teach.

        Those of earlier searches say nothing once there are own scores but no baseline to add
        their gains to.
        """
        self._lessons.learn(trials)
        if self._warm_start is None or (self._baseline is None and self._lessons.known):
            return self._lessons.experience()
        return self._lessons.experience(self._warm_start.lessons(self._baseline))


def again(lost: FrozenTrial) -> Proposal:
    """Return the proposal of an interrupted trial once more."""
    return Proposal(
        configuration=Configuration.from_json(lost.user_attrs["configuration"]),
        params=lost.params,
        distributions=lost.distributions,
        memory={k: v for k, v in lost.system_attrs.items() if is_memory(k)},
    )
