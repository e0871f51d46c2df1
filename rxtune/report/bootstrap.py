"""A difference in accuracy with its error: other seeds and other test items, bootstrapped.

Every configuration is trained on the same S seeds, and every one of these models answers the same
N test items. So the answers form a table of seeds x items, and chance enters it in three places:
a seed (all its answers are better), an item (easier for one configuration, with whatever seed),
and a single answer. A hierarchical bootstrap draws seeds, then items; the items are drawn once for
all seeds of a replicate, since the same ones serve all, and an item is drawn with its
translations. Two things it gets wrong by itself, and both are put right here:

- S seeds drawn from S spread too little, by the factor (S - 1) / S: four fifths of the variance
  at S = 5. So S - 1 are drawn, and likewise N - 1 items.
- Drawing both counts the chance of single answers three times (Owen 2007, "The pigeonhole
  bootstrap"), drawing seeds alone and items alone once each. The unbiased variance is therefore
  2 (V_seeds + V_items) - V_both.

For a mean these variances have a closed form, the limit of ever more replicates. It is used here,
so that a result depends on no random number and on no order; a test draws replicates and finds
the same. Percentiles of the replicates would be far too narrow with five seeds: the quantile is
Student's t. Its degrees of freedom lie between those of the seeds, S - 1, and of the items: 1 / df
is the mean of 1 / (S - 1) and 1 / (N - 1), weighted by their shares of the variance.
(Satterthwaite, 1946, squares the shares: more degrees of freedom and so a smaller p.) With two or
three seeds their variance may come out tiny by chance, and their share with it; so the interval is
never narrower than that of the t test over seeds, which allows for the seeds alone.
`benchmarks/statistics_check.py` checks the error rate and the coverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[Any]

_ROUNDING = 1e-12
"""Differences of accuracies that should be equal differ by a few last bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Bootstrap variances of a mean difference; arrays where many are computed at once."""

    seeds: Array
    """V_seeds: from drawing seeds, the items fixed."""
    items: Array
    """V_items: from drawing items, the seeds fixed."""
    both: Array
    """V_both: from drawing seeds, then items."""
    seed_freedom: int
    """S - 1."""
    item_freedom: int
    """N - 1; of several strata the sum."""

    @property
    def answers(self) -> Array:
        """Variance by the chance of single answers, which the other two contain once each."""
        return self.both - self.seeds - self.items

    @property
    def variance(self) -> Array:
        """The unbiased one, 2 (V_seeds + V_items) - V_both, but at least V_seeds."""
        return np.asarray(self.seeds + np.maximum(self.items - self.answers, 0.0))

    @property
    def freedom(self) -> Array:
        """Degrees of freedom of the variance, between the seeds' and the items'."""
        share = np.ones_like(self.variance)
        np.divide(self.seeds, self.variance, out=share, where=self.variance > 0)
        return 1 / (share / self.seed_freedom + (1 - share) / self.item_freedom)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How much better one configuration is than another; arrays where many are computed."""

    mean: Any
    low: Any
    """Lower end of the 95 % confidence interval."""
    high: Any
    """Upper end."""
    p: Any
    """Two-sided."""


def strata_of(influence: Array, languages: Array, items: Array, *, joint: bool) -> list[Array]:
    """Return what every unit that is drawn adds to the mean, by stratum (S, n).

    Args:
        influence: What every answer adds to its language's score in every seed (S, R), centred.
        languages: Language of every answer (R,).
        items: Item of every answer (R,); equal in two languages: translations of each other.
        joint: Whether an item is drawn with its translations: one stratum. Otherwise every
            language is a stratum.
    """
    names, place = np.unique(languages, return_inverse=True)
    weighted = influence / len(names)
    if not joint:
        return [weighted[:, place == number] for number in range(len(names))]
    units, unit = np.unique(items, return_inverse=True)
    return [_binned(weighted, unit, len(units))]


def _binned(values: Array, place: Array, count: int) -> Array:
    """Return the sums of the columns that have the same place (S, count)."""
    return np.stack([np.bincount(place, weights=row, minlength=count) for row in values])


def hierarchical_spread(by_seed: Array, strata: Sequence[Array]) -> Spread:
    """Return the bootstrap variances of the mean over seeds.

    Args:
        by_seed: Mean difference of every seed (..., S).
        strata: What every unit adds to it, centred in every seed (..., S, n), by stratum.

    Raises:
        ValueError: There are fewer than two seeds, or than two units in a stratum.
    """
    seeds = by_seed.shape[-1]
    fewest = min((units.shape[-1] for units in strata), default=0)
    if seeds < 2 or fewest < 2:
        raise ValueError(f"at least 2 seeds and 2 items are needed, got {seeds} and {fewest}")
    of_seeds = by_seed.var(axis=-1, ddof=1) / seeds
    of_items, of_answers = np.zeros_like(of_seeds), np.zeros_like(of_seeds)
    for units in strata:
        n = units.shape[-1]
        item = units.mean(axis=-2)
        here = n * (item**2).sum(axis=-1) / (n - 1)
        squares = (units**2).sum(axis=(-1, -2)) - seeds * (item**2).sum(axis=-1)
        single = n * np.maximum(squares, 0.0) / (seeds * (seeds - 1) * (n - 1))
        of_items, of_answers = of_items + here, of_answers + single
    return Spread(
        seeds=of_seeds,
        items=of_items,
        both=of_seeds + of_items + of_answers,
        seed_freedom=seeds - 1,
        item_freedom=sum(units.shape[-1] - 1 for units in strata),
    )


def hierarchical_bootstrap(by_seed: Array, strata: Sequence[Array]) -> Difference:
    """Return the mean over seeds with its 95 % interval and p value.

    Args:
        by_seed: Mean difference of every seed (..., S).
        strata: What every unit adds to it, centred in every seed (..., S, n), by stratum.

    Raises:
        ValueError: There are fewer than two seeds, or than two units in a stratum.
    """
    spread = hierarchical_spread(by_seed, strata)
    mean = by_seed.mean(axis=-1)
    ways = (
        (np.sqrt(spread.variance), spread.freedom),
        (np.sqrt(spread.seeds), spread.seed_freedom),  # the t test over seeds
    )
    half = np.max([stats.t.ppf(0.975, freedom) * error for error, freedom in ways], axis=0)
    half = np.where(half < _ROUNDING, 0.0, half)
    p = np.max([_p_value(mean, error, freedom) for error, freedom in ways], axis=0)
    return Difference(mean=mean, low=mean - half, high=mean + half, p=p)


def _p_value(mean: Array, error: Array, freedom: Any) -> Array:
    """Return the two-sided p value; without any spread a difference is certain."""
    t = np.where(np.abs(mean) > _ROUNDING, np.inf, 0.0)
    np.divide(np.abs(mean), error, out=t, where=error > _ROUNDING)
    return np.asarray(2 * stats.t.sf(t, freedom))
