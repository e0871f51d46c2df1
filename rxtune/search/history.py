"""What a sampler learns from: the trials so far, as a study in memory made for one proposal."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from rxtune.config import Configuration, Constant, Space
from rxtune.search.distributions import to_distribution

Params = dict[str, Any]
_SOME_TIME = datetime(2000, 1, 1)  # no sampler asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One trial as a sampler is to see it."""

    configuration: Configuration
    params: Mapping[str, Any]
    """Values of its active parameters; empty where it lies outside of the space."""
    kind: str
    """`running`, `finished`, `stopped` or `failed`."""
    values: tuple[float, ...] = ()
    """What it reached, an objective each; of a stopped trial where it was stopped."""
    step: int = 0
    """The evaluation at which it stands, of a stopped trial."""
    is_own: bool = True
    """Whether this search ran it, and not an earlier one."""
    memory: Mapping[str, Any] | None = None
    """What the sampler itself wrote down beside the trial when it proposed it."""

    @property
    def says_how_good(self) -> bool:
        """Whether it tells what its configuration is worth."""
        return self.kind in ("finished", "stopped")


def build_history(
    space: Space, lessons: Sequence[Lesson], minimised: Sequence[bool], *, flat: bool
) -> optuna.Study:
    """Return a study in memory that holds the lessons as the sampler should take them.

    A failed trial counts as bad as the worst, so that regions that fail are left alone; Optuna
    itself would forget it and propose the region again. Where the sampler knows no conditions or
    there are several objectives, a stopped trial counts at best as the worst finished one.
    What lies outside of the space says nothing about it and is left out.

    Args:
        space: What is searched.
        lessons: In the order of the trials.
        minimised: For every objective whether it is to be low.
        flat: Whether all parameters are given for all trials: see `samplers.FLAT`.
    """
    study = optuna.create_study(
        directions=["minimize" if low else "maximize" for low in minimised],
        sampler=optuna.samplers.RandomSampler(),
    )
    seen = _Seen(
        space=space,
        minimised=minimised,
        worst=_worst([x.values for x in lessons if x.kind == "finished"], minimised),
        distributions=distributions_of(space, space.parameters),
        flat=flat,
    )
    study.add_trials(trial for lesson in lessons if (trial := seen.trial(lesson)))
    return study


def distributions_of(space: Space, names: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Return Optuna's form of the domains of some parameters."""
    return {name: to_distribution(space.parameters[name].domain) for name in names}


def flat_params(space: Space, active: Mapping[str, Any]) -> Params:
    """Return a value of every parameter that is searched: typical where the trial reads none."""
    return {
        name: active.get(name, parameter.domain.middle())
        for name, parameter in space.parameters.items()
        if not isinstance(parameter.domain, Constant)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Lessons as a sampler is to see them."""

    space: Space
    minimised: Sequence[bool]
    worst: tuple[float, ...] | None
    """The worst value of every objective; None: nothing has finished."""
    distributions: Mapping[str, BaseDistribution]
    flat: bool

    def trial(self, lesson: Lesson) -> FrozenTrial | None:
        """Return a lesson as a trial, or None if it teaches nothing."""
        if not lesson.params:
            return None
        params = flat_params(self.space, lesson.params) if self.flat else dict(lesson.params)
        blunt = self.flat or len(self.minimised) > 1
        if lesson.kind == "running":
            return self._built(lesson, params, TrialState.RUNNING)
        if lesson.kind == "finished":
            return self._built(lesson, params, TrialState.COMPLETE, lesson.values)
        if lesson.kind == "stopped" and not blunt:
            return self._built(lesson, params, TrialState.PRUNED)
        if self.worst is None:  # nothing to be as bad as yet
            return None
        values = [self.worst, *([] if lesson.kind == "failed" else [lesson.values])]
        return self._built(lesson, params, TrialState.COMPLETE, _worst(values, self.minimised))

    def _built(
        self,
        lesson: Lesson,
        params: Params,
        state: TrialState,
        values: Sequence[float] | None = None,
    ) -> FrozenTrial:
        reached = {lesson.step: lesson.values[0]} if state == TrialState.PRUNED else {}
        return _ReadOnly(
            number=-1,  # Optuna gives it one
            trial_id=-1,
            state=state,
            value=None,
            values=values,
            datetime_start=_SOME_TIME,
            datetime_complete=_SOME_TIME if state.is_finished() else None,
            params=params,
            distributions={name: self.distributions[name] for name in params},
            user_attrs={},
            system_attrs=dict(lesson.memory or {}),
            intermediate_values=reached,
        )


class _ReadOnly(FrozenTrial):
    """A trial whose copies share its values: a study in memory copies all that it is given."""

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenTrial:
        return copy.copy(self)


def _worst(
    values: Sequence[tuple[float, ...]], minimised: Sequence[bool]
) -> tuple[float, ...] | None:
    """Return the worst value of every objective."""
    if not values:
        return None
    columns = zip(*values, strict=True)
    return tuple(
        max(some) if low else min(some) for some, low in zip(columns, minimised, strict=True)
    )
