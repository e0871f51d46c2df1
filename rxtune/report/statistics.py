"""The few statistics a claim about transfer needs: paired, corrected, and with their error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """How much a is better than b, over pairs that share a seed."""

    pairs: int
    mean_difference: float
    """Mean of a - b."""
    standard_deviation: float
    """Of the differences (n - 1)."""
    low: float
    """Lower end of the 95 % confidence interval of the mean difference."""
    high: float
    """Upper end."""
    t: float
    p: float
    """Two-sided, of the paired t test."""


def paired_comparison(a: Sequence[float], b: Sequence[float]) -> PairedComparison:
    """Return the paired t test of `a` against `b`, element by element.

    Differences that are all equal have no spread to test against: t is then infinite and p 0, or
    t 0 and p 1 where they are all 0.

    Args:
        a: Results by seed (n,).
        b: Results of the other configuration by the same seeds (n,).

    Raises:
        ValueError: The lengths differ, there are fewer than two pairs, or a value is not finite.
    """
    first, second = _pair(a, b, at_least=2)
    differences = first - second
    n = len(differences)
    mean = float(differences.mean())
    deviation = float(differences.std(ddof=1))
    error = deviation / math.sqrt(n)
    # Equal differences leave a spread of a few last bits of the values.
    rounding = 1e-12 * float(np.abs([first, second]).max())
    if error <= rounding:
        t = math.copysign(math.inf, mean) if abs(mean) > rounding else 0.0
        deviation = error = 0.0
    else:
        t = mean / error
    half = float(stats.t.ppf(0.975, n - 1)) * error
    return PairedComparison(
        pairs=n,
        mean_difference=mean,
        standard_deviation=deviation,
        low=mean - half,
        high=mean + half,
        t=t,
        p=float(2 * stats.t.sf(abs(t), n - 1)),
    )


def binomial_standard_error(accuracy: float, n: int) -> float:
    """Return the standard error of an accuracy in [0, 1] measured on `n` examples.

    Raises:
        ValueError: `accuracy` is outside [0, 1] or `n` is not positive.
    """
    if not 0.0 <= accuracy <= 1.0:
        raise ValueError(f"0 <= accuracy <= 1 must hold, got {accuracy}")
    if n < 1:
        raise ValueError(f"n >= 1 must hold, got {n}")
    return math.sqrt(accuracy * (1.0 - accuracy) / n)


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Return Spearman's rank correlation; ties get their mean rank, a constant gives NaN.

    Raises:
        ValueError: The lengths differ, there are fewer than two pairs, or a value is not finite.
    """
    first, second = (stats.rankdata(values) for values in _pair(a, b, at_least=2))
    if first.std() == 0 or second.std() == 0:
        return math.nan
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1.0, 1.0))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for testing them all together, in the order given.

    Rejecting what is below α keeps the chance of even one false rejection below α (Holm 1979,
    Scandinavian Journal of Statistics 6).

    Raises:
        ValueError: A value is outside [0, 1].
    """
    if any(not 0.0 <= p <= 1.0 for p in p_values):
        raise ValueError(f"0 <= p <= 1 must hold for all, got {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    ascending = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for rank, index in enumerate(ascending):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _pair(a: Sequence[float], b: Sequence[float], at_least: int) -> tuple[np.ndarray, np.ndarray]:
    if len(a) != len(b):
        raise ValueError(f"pairs need equal lengths, got {len(a)} and {len(b)}")
    if len(a) < at_least:
        raise ValueError(f"at least {at_least} pairs are needed, got {len(a)}")
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError(f"all values must be finite, got {list(a)} and {list(b)}")
    return first, second
