"""The search space in Optuna's terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from rxtune.config import (
    Choice,
    Configuration,
    Constant,
    Domain,
    Int,
    LogInt,
    LogUniform,
    Space,
    Uniform,
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


def suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    """Return what the trial's sampler chooses of a distribution."""
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
