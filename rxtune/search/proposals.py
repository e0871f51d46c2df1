"""What to try next: the search space in Optuna's terms, and a sampler for every trial."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import Trial

from rxtune.config import (
    Choice,
    Configuration,
    Constant,
    Domain,
    Int,
    LogInt,
    LogUniform,
    SearchSettings,
    Space,
    Uniform,
)


def build_sampler(settings: SearchSettings, number: int) -> BaseSampler:
    """Return a new sampler for trial `number`; its seed is derived from both.

    A sampler that lives on would make a proposal depend on what the process did before; this way
    it depends on the journal and the number alone.
    """
    seed = int(np.random.SeedSequence((settings.seed, number)).generate_state(1)[0])
    if settings.sampler == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # `group` is experimental, and the only way that TPE models conditional branches jointly.
        warnings.filterwarnings("ignore", ".*group.*", ExperimentalWarning)
        return TPESampler(
            multivariate=True,
            group=True,
            constant_liar=True,
            n_startup_trials=settings.startup_trials,
            seed=seed,
        )


def to_distribution(domain: Domain) -> BaseDistribution:
    """Return Optuna's form of a parameter's domain."""
    match domain:
        case Choice(values=values):
            return CategoricalDistribution(tuple(values))
        case Constant(value=value):
            return CategoricalDistribution((value,))
        case Uniform(low=low, high=high):
            return FloatDistribution(low, high)
        case LogUniform(low=low, high=high):
            return FloatDistribution(low, high, log=True)
        case Int(low=low, high=high):
            return IntDistribution(low, high)
        case LogInt(low=low, high=high):
            return IntDistribution(low, high, log=True)
    raise AssertionError(f"unknown domain {domain!r}")


def propose(trial: Trial, space: Space) -> Configuration:
    """Let the trial's sampler choose every active parameter, and return the configuration."""
    chosen: dict[str, Any] = {}
    for name in space.order:
        if space.is_active(name, chosen):
            chosen[name] = _suggest(trial, name, to_distribution(space.parameters[name].domain))
    return space.configuration(chosen)


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case FloatDistribution(low=low, high=high, log=log):
            return trial.suggest_float(name, low, high, log=log)
        case IntDistribution(low=low, high=high, log=log):
            return trial.suggest_int(name, low, high, log=log)
    raise AssertionError(f"unknown distribution {distribution!r}")


def params_of(space: Space, configuration: Configuration) -> Mapping[str, Any] | None:
    """Return the configuration as values of the active parameters, or None if it lies outside.

    The baseline may lie outside (a space without `standard`); the sampler then must not learn
    from it, as half a point would split the groups in which it models the parameters.
    """
    chosen: dict[str, Any] = {}
    for name in space.order:
        if not space.is_active(name, chosen):
            continue
        value = getattr(configuration, name)
        if not space.parameters[name].domain.contains(value):
            return None
        chosen[name] = value
    return chosen if space.configuration(chosen) == configuration else None
