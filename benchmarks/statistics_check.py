"""Check the statistics of `rxtune confirm` on simulated tests: error rate and coverage.

Answers are simulated as a confirmation gives them: two configurations, S seeds, N test items in L
languages, right or wrong. A latent score is the sum of normal parts (seed, seed in a language,
item, item in a language, item for one configuration, one answer), and an answer is right where it
is above 0; so the true difference of the accuracies is known exactly. Two numbers count:

- without a true difference, how often p < .05 (it should be at most .06);
- with a true difference of 3 points, how often the 95 % interval holds it (93 to 97 %).

For comparison, two ways that are often taken: the t test over seeds, which speaks of these items
alone, and a hierarchical bootstrap as it comes, S of S seeds and N of N items with the normal
quantile.

    python benchmarks/statistics_check.py        # about two minutes on one core
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rxtune.report.bootstrap import hierarchical_bootstrap, hierarchical_spread

RESULT = Path(__file__).parent / "results" / "statistics_check.txt"
GAIN = 0.03
"""The true difference in which coverage is measured."""
ACCURACY = 0.65
"""Of the worse configuration."""
MOST_ERRORS = 0.06
COVERAGE = (0.93, 0.97)
_CHUNK = 400_000  # answers at a time: more would leave the cache
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What makes two configurations differ by chance."""

    name: str
    seeds: int = 5
    items: int = 1000
    languages: int = 7
    seed_points: tuple[float, float] = (2.0, 1.0)
    """Standard deviation of the mean accuracy over seeds, of each configuration, in points."""
    item: float = 0.5
    """Variance of what makes an item easier for one configuration; that of an answer is 1."""
    shared: float = 0.5
    """Share of the items' variance that all languages have in common."""
    joint: bool = True
    """Whether items are translations of each other, and drawn together."""


SCENARIOS = (
    Scenario(name="Babel, steady seeds", seed_points=(1.0, 1.0)),
    Scenario(name="Babel", seed_points=(2.0, 1.0)),
    Scenario(name="Babel, wild seeds", seed_points=(3.0, 3.0)),
    Scenario(name="Babel, 3 seeds", seeds=3),
    Scenario(name="Babel, 10 seeds", seeds=10),
    Scenario(name="not parallel", seed_points=(1.0, 1.0), joint=False, shared=0.0),
    Scenario(name="seeds dominate", seed_points=(6.0, 6.0), item=0.1, languages=2),
    Scenario(name="seeds dominate, 3 seeds", seeds=3, seed_points=(6.0, 6.0), item=0.1),
    Scenario(name="items dominate", seed_points=(0.0, 0.0), item=4.0, shared=0.9, languages=2),
    Scenario(
        name="items dominate, 3 seeds",
        seeds=3,
        seed_points=(0.0, 0.0),
        item=4.0,
        shared=0.9,
        languages=2,
    ),
    Scenario(name="half and half", seed_points=(2.2, 2.2), item=4.0, shared=0.9, items=500),
    Scenario(
        name="half and half, 3 seeds",
        seeds=3,
        seed_points=(1.7, 1.7),
        item=4.0,
        shared=0.9,
        items=500,
    ),
    Scenario(name="200 items", items=200),
    Scenario(name="200 items, 3 seeds", items=200, seeds=3),
    Scenario(name="200 items, 10 seeds, one language", items=200, seeds=10, languages=1),
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """How the statistics did in one scenario, as shares of the simulations."""

    false_alarms: float
    coverage: float
    t_test: float
    """False alarms of the t test over seeds."""
    as_it_comes: float
    """False alarms of the uncorrected bootstrap."""
    seed_share: float
    """Share of the variance that comes from seeds."""
    item_share: float

    @property
    def holds(self) -> bool:
        """Whether both numbers are what they should be."""
        low, high = COVERAGE
        return self.false_alarms <= MOST_ERRORS and low <= self.coverage <= high


def simulate(
    scenario: Scenario, gain: float, count: int, rng: np.random.Generator
) -> Iterator[tuple[Floats, list[Floats]]]:
    """Yield simulated confirmations: mean difference by seed (n, S), and units (n, S, N)."""
    per_test = 2 * scenario.seeds * scenario.items * scenario.languages
    size = max(1, _CHUNK // per_test)
    for start in range(0, count, size):
        n = min(size, count - start)
        right = _latent(scenario, gain, n, rng) > 0
        difference = right[:, 0].astype(np.float32) - right[:, 1]
        by_language = difference.mean(axis=2, keepdims=True)
        centred = (difference - by_language) / (scenario.items * scenario.languages)
        units = [centred.sum(axis=-1)] if scenario.joint else list(np.moveaxis(centred, -1, 0))
        yield by_language.mean(axis=(2, 3)), units


def _latent(scenario: Scenario, gain: float, n: int, rng: np.random.Generator) -> Floats:
    """Return the latent scores (n, 2, S, N, L); what is above 0 is right."""
    s, i, lang = scenario.seeds, scenario.items, scenario.languages

    def part(variance: float, *shape: int) -> Floats:
        return np.float32(variance**0.5) * rng.standard_normal(shape, dtype=np.float32)

    own, shared = scenario.item, scenario.shared
    scores = part(1.0, n, 2, s, i, lang)
    scores += part(shared, n, 1, 1, i, 1) + part(1 - shared, n, 1, 1, i, lang)
    scores += part(own * shared, n, 2, 1, i, 1) + part(own * (1 - shared), n, 2, 1, i, lang)
    plain = stats.norm.ppf(ACCURACY)
    for number, (points, right) in enumerate(
        zip(scenario.seed_points, (ACCURACY + gain, ACCURACY), strict=True)
    ):
        # A seed moves all languages by four fifths of its variance, and each by the rest.
        variance = (points / 100 / stats.norm.pdf(plain)) ** 2 * (2.0 + own)
        seed = part(0.8 * variance, n, s, 1, 1) + part(0.2 * variance * lang, n, s, 1, lang)
        total = 2.0 + own + variance * (0.8 + 0.2 * lang)
        scores[:, number] += seed + np.float32(stats.norm.ppf(right) * total**0.5)
    return scores


def check(scenario: Scenario, count: int, seed: int = 0) -> Found:
    """Return how the statistics do in `count` simulations without and with a difference."""
    rng = np.random.default_rng(seed)
    alarms = t_alarms = bare_alarms = covered = 0
    parts = np.zeros(3)
    for by_seed, units in simulate(scenario, 0.0, count, rng):
        found, spread = hierarchical_bootstrap(by_seed, units), hierarchical_spread(by_seed, units)
        alarms += int((found.p < 0.05).sum())
        t = by_seed.mean(axis=1) / np.sqrt(np.maximum(spread.seeds, 1e-30))
        t_alarms += int((np.abs(t) > stats.t.ppf(0.975, scenario.seeds - 1)).sum())
        bare = np.sqrt((1 - 1 / scenario.seeds) * (spread.both - spread.items) + spread.items)
        bare_alarms += int((np.abs(found.mean) > 1.96 * bare).sum())
        alone = [v.sum() for v in (spread.seeds - spread.answers, spread.items - spread.answers)]
        parts += [*alone, spread.answers.sum()]
    for by_seed, units in simulate(scenario, GAIN, count, rng):
        found = hierarchical_bootstrap(by_seed, units)
        covered += int(((found.low <= GAIN) & (found.high >= GAIN)).sum())
    shares = np.maximum(parts, 0.0) / np.maximum(parts, 0.0).sum()
    return Found(
        false_alarms=alarms / count,
        coverage=covered / count,
        t_test=t_alarms / count,
        as_it_comes=bare_alarms / count,
        seed_share=float(shares[0]),
        item_share=float(shares[1]),
    )


def main() -> int:
    """Check all scenarios, print and keep the table; 1 where one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=4000, help="per scenario, twice")
    count = parser.parse_args().simulations
    lines = [
        f"{count} simulations without a difference, {count} with one of 3 points",
        "",
        f"{'scenario':34} seeds items langs  variance from        p < .05  covered   t test  bare",
        f"{'':34} {'':17}  seeds items answers",
    ]
    began, all_hold = time.monotonic(), True
    print("\n".join(lines))
    for scenario in SCENARIOS:
        found = check(scenario, count)
        all_hold &= found.holds
        lines.append(_line(scenario, found))
        print(lines[-1], flush=True)
    lines += ["", "all hold" if all_hold else "some do not hold (marked !)"]
    print(f"{lines[-1]}; {time.monotonic() - began:.0f} s")
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0 if all_hold else 1


def _line(scenario: Scenario, found: Found) -> str:
    answers = 1 - found.seed_share - found.item_share
    return (
        f"{scenario.name:34} {scenario.seeds:5} {scenario.items:5} {scenario.languages:5}"
        f"  {found.seed_share:5.0%} {found.item_share:5.0%} {answers:7.0%}"
        f"  {found.false_alarms:7.3f}  {found.coverage:7.3f}  {found.t_test:7.3f}"
        f" {found.as_it_comes:5.3f}{'' if found.holds else '  !'}"
    )


if __name__ == "__main__":
    sys.exit(main())
