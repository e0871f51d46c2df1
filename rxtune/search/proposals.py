"""What to try next: start points, then what the sampler proposes, and nothing twice."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning

from rxtune.config import Configuration, Constant, Space, Study
from rxtune.config.canonical import canonical
from rxtune.search.cube import everything, grid, sobol_point
from rxtune.search.distributions import params_of, suggest, to_distribution
from rxtune.search.history import build_history, distributions_of
from rxtune.search.lessons import NOTHING, Experience
from rxtune.search.samplers import FLAT, build_sampler

ATTEMPTS = 16
"""How often the sampler may propose what was run before, until the points left are counted."""
_MOST_ATTEMPTS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A configuration to be tried, and what Optuna's record of the trial needs."""

    configuration: Configuration
    params: Mapping[str, Any] = field(default_factory=dict)
    """Of the active parameters; empty where the configuration lies outside of the space."""
    distributions: Mapping[str, BaseDistribution] = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)
    """What the sampler wrote down for itself: NSGA-II's generations."""


def as_proposal(
    space: Space, configuration: Configuration, memory: Mapping[str, Any] | None = None
) -> Proposal:
    """Return a configuration as a proposal; one outside of the space has no parameters.

    The sampler then does not learn from it: half a point would split the groups in which it models
    the parameters.
    """
    params = params_of(space, configuration) or {}
    return Proposal(
        configuration=configuration,
        params=params,
        distributions=distributions_of(space, params),
        memory=memory or {},
    )


def propose(study: Study, number: int, experience: Experience) -> Proposal | None:
    """Return what trial `number` is to try, or None when every point of the space was tried.

    A function of its arguments alone. What is effectively equal to a configuration that was tried
    is not proposed again, whatever became of it: all trials of a search share one seed.

    Args:
        study: Space, sampler (other than a grid), seed and objectives.
        number: Of the trial, which decides the seed.
        experience: What all trials so far, and earlier searches, have taught.
    """
    for found in _candidates(study, number, experience):
        if canonical(found.configuration) not in experience.tried:
            return found
    return None


class Grid:
    """The points of a grid in their random order; it is written out once and then walked along."""

    def __init__(self, study: Study) -> None:
        self._space = study.space
        self._points = grid(study.space, study.search.grid_points, study.search.seed)
        self._passed = 0

    def next(self, tried: AbstractSet[Configuration]) -> Proposal | None:
        """Return the first point that was not tried, or None.

        Args:
            tried: In canonical form; what was in it at an earlier call still is.
        """
        while self._passed < len(self._points):
            point = self._points[self._passed]
            if canonical(point) not in tried:
                return as_proposal(self._space, point)
            self._passed += 1
        return None


def _candidates(study: Study, number: int, experience: Experience) -> Iterator[Proposal]:
    """Yield proposals until one is new; the last resort is all that the space holds."""
    space, settings = study.space, study.search
    if settings.sampler == "qmc":
        # A point that was tried already moves on by whole lengths of the search, so that no later
        # trial is due there.
        for attempt in range(ATTEMPTS):
            place = number + attempt * 2**20
            yield as_proposal(space, sobol_point(space, settings.seed, place))
    else:
        for attempt in range(ATTEMPTS):
            yield _sampled(study, number, attempt, experience)
    left = everything(space, settings.seed + number)
    if left is None:  # a continuous space has always more, and chance finds it
        for attempt in range(ATTEMPTS, _MOST_ATTEMPTS):
            yield _sampled(study, number, attempt, NOTHING)
    for point in left or ():
        yield as_proposal(space, point)


def _sampled(study: Study, number: int, attempt: int, experience: Experience) -> Proposal:
    """Let a fresh sampler choose, given what it may learn from."""
    flat = study.search.sampler in FLAT
    minimised = [name == "compute" for name in study.select.objective]
    if optuna.logging.get_verbosity() != optuna.logging.ERROR:  # to set it takes a millisecond
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it announces every study it makes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        history = build_history(study.space, experience.lessons, minimised, flat=flat)
        history.sampler = build_sampler(study.search, number, attempt, experience.known)
        trial = history.ask()
        choose = _choose_flat if flat else _choose
        configuration = choose(trial, study.space)
        frozen = history.get_trials(deepcopy=False)[trial.number]
    memory = {k: v for k, v in frozen.system_attrs.items() if k.endswith(":generation")}
    return as_proposal(study.space, configuration, memory)


def _choose(trial: optuna.Trial, space: Space) -> Configuration:
    """Let the trial's sampler choose every active parameter."""
    chosen: dict[str, Any] = {}
    for name in space.order:
        if space.is_active(name, chosen):
            chosen[name] = suggest(trial, name, to_distribution(space.parameters[name].domain))
    return space.configuration(chosen)


def _choose_flat(trial: optuna.Trial, space: Space) -> Configuration:
    """Let the trial's sampler choose every parameter, and keep what is active."""
    chosen = {
        name: suggest(trial, name, to_distribution(parameter.domain))
        for name, parameter in space.parameters.items()
        if not isinstance(parameter.domain, Constant)
    }
    return space.configuration(chosen)
