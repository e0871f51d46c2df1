"""Does the interval of `rxtune audit`'s rank correlations cover the true one?

    python benchmarks/spearman_check.py > benchmarks/results/spearman_check.txt

Pairs are drawn from a bivariate normal distribution with a known rank correlation. Compared are
three variances of Fisher's z: that of Bonett and Wright, which the audit uses, and two constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from rxtune.report.audit import spearman_interval

DRAWS = 4000
SIZES = (6, 10, 15, 30)
CORRELATIONS = (0.0, 0.5, 0.8, 0.95)
"""Of the normal variables; their rank correlation is a little smaller."""

Interval = Callable[[float, int], tuple[float, float]]


def constant(factor: float) -> Interval:
    """Return the interval with the variance factor / (n - 3), ends as in the audit."""

    def interval(correlation: float, n: int) -> tuple[float, float]:
        most = 1 - 6 / (n * (n * n - 1))
        bounded = min(max(correlation, -most), most)
        half = 1.959964 * math.sqrt(factor / (n - 3))
        low, high = (math.tanh(math.atanh(bounded) + side * half) for side in (-1, 1))
        return (-1.0 if correlation < -most else low), (1.0 if correlation > most else high)

    return interval


WAYS: dict[str, Interval] = {
    "Bonett and Wright": spearman_interval,
    "1.06 / (n - 3)": constant(1.06),
    "1 / (n - 3)": constant(1.0),
}


def coverage(correlation: float, n: int, generator: np.random.Generator) -> dict[str, float]:
    """Return how often each interval holds the true rank correlation."""
    true = 6 / math.pi * math.asin(correlation / 2)
    first, noise = generator.standard_normal((2, DRAWS, n))
    second = correlation * first + math.sqrt(1 - correlation**2) * noise
    ranks = stats.rankdata(first, axis=1), stats.rankdata(second, axis=1)
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    found = (centred[0] * centred[1]).sum(axis=1) / (centred[0] ** 2).sum(axis=1)
    held = {name: 0 for name in WAYS}
    for value in found:
        for name, interval in WAYS.items():
            low, high = interval(float(value), n)
            held[name] += low <= true <= high
    return {name: count / DRAWS for name, count in held.items()}


def main() -> None:
    """Print a table, one line per size and correlation."""
    generator = np.random.default_rng(0)
    print(f"Coverage in % of 95 % intervals, {DRAWS:,} draws each")
    print(f"{'n':>3} {'correlation':>11}  " + "  ".join(f"{name:>17}" for name in WAYS))
    for n in SIZES:
        for correlation in CORRELATIONS:
            found = coverage(correlation, n, generator)
            shown = "  ".join(f"{100 * value:17.1f}" for value in found.values())
            print(f"{n:3} {correlation:11.2f}  {shown}")


if __name__ == "__main__":
    main()
