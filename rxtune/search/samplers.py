"""Optuna's samplers by name, each made anew for a single proposal."""

from __future__ import annotations

import warnings

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from rxtune.config import SearchSettings

FLAT = frozenset({"gp", "nsga2"})
"""Samplers that know no conditions: they see every parameter, what a trial does not read at a
typical value."""
POPULATION = 12
"""Trials of a generation: searches here are tens of trials, not Optuna's thousands."""


def build_sampler(settings: SearchSettings, number: int, attempt: int, known: int) -> BaseSampler:
    """Return a new sampler for a proposal; its seed is derived from what makes it this one.

    A sampler that lives on would make a proposal depend on what the process did before; this way
    it depends on the journal, the trial's number and the attempt alone.

    Args:
        settings: Name the sampler and the search's seed.
        number: Of the trial.
        attempt: 0 for the first proposal, and one more for each that was run before.
        known: How many trials there are to learn from.
    """
    key = (settings.seed, number) if attempt == 0 else (settings.seed, number, attempt)
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    if settings.sampler == "random" or known < max(settings.startup_trials, 1):
        return RandomSampler(seed=seed)
    if settings.sampler == "gp":
        return GPSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
    if settings.sampler == "nsga2":
        return NSGAIISampler(seed=seed, population_size=POPULATION)
    with warnings.catch_warnings():
        # `group` is experimental, and the only way that TPE models conditional branches jointly.
        warnings.filterwarnings("ignore", ".*group.*", ExperimentalWarning)
        return TPESampler(
            multivariate=True, group=True, constant_liar=True, n_startup_trials=1, seed=seed
        )
