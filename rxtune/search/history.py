"""What a sampler learns from: the trials so far, as a study in memory made for one proposal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from rxtune.config import Configuration, Constant, Space
from rxtune.search.distributions import params_of, to_distribution

LEARNT_FROM = 400
"""Most trials that a sampler sees: its cost grows with them, and its advice hardly improves."""
_BEST = 100

Params = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One trial as a sampler is to see it."""

    configuration: Configuration
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
    lessons = _bounded(lessons, minimised)
    worst = _worst([x.values for x in lessons if x.kind == "finished"], minimised)
    blunt = flat or len(minimised) > 1
    for lesson in lessons:
        trial = _as_trial(space, lesson, worst, minimised, flat=flat, blunt=blunt)
        if trial is not None:
            study.add_trial(trial)
    return study


def known(lessons: Sequence[Lesson]) -> int:
    """Return how many lessons say how good a configuration is."""
    return sum(lesson.kind in ("finished", "stopped") for lesson in lessons)


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


def _as_trial(
    space: Space,
    lesson: Lesson,
    worst: tuple[float, ...] | None,
    minimised: Sequence[bool],
    *,
    flat: bool,
    blunt: bool,
) -> FrozenTrial | None:
    active = params_of(space, lesson.configuration)
    if active is None:
        return None
    params = flat_params(space, active) if flat else dict(active)
    what: dict[str, Any] = {"params": params, "distributions": distributions_of(space, params)}
    if lesson.memory:
        what["system_attrs"] = dict(lesson.memory)
    if lesson.kind == "running":
        return create_trial(state=TrialState.RUNNING, **what)
    if lesson.kind == "finished":
        return create_trial(values=list(lesson.values), **what)
    if lesson.kind == "stopped" and not blunt:
        reached = {lesson.step: lesson.values[0]}
        return create_trial(state=TrialState.PRUNED, intermediate_values=reached, **what)
    if worst is None:  # nothing to be as bad as yet
        return None
    values = worst if lesson.kind == "failed" else _worst([worst, lesson.values], minimised)
    return create_trial(values=list(values or worst), **what)


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


def _bounded(lessons: Sequence[Lesson], minimised: Sequence[bool]) -> list[Lesson]:
    """Return the best and the latest of many lessons, in their order."""
    if len(lessons) <= LEARNT_FROM:
        return list(lessons)
    sign = -1.0 if minimised[0] else 1.0
    finished = [i for i, lesson in enumerate(lessons) if lesson.kind == "finished"]
    best = sorted(finished, key=lambda i: (-sign * lessons[i].values[0], i))[:_BEST]
    latest = range(len(lessons) - (LEARNT_FROM - _BEST), len(lessons))
    return [lessons[i] for i in sorted({*best, *latest})]
