"""What a confirmation settled: differences over fresh seeds and test items, and the verdict."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from rxtune.config.configuration import Configuration
from rxtune.report.answers import Answers, Array, RunKey, shared_answers
from rxtune.report.bootstrap import hierarchical_bootstrap, strata_of
from rxtune.report.statistics import holm, paired_comparison
from rxtune.results import ConfirmedRun, Role, ZeroShot

ALPHA = 0.05
"""A claim is confirmed below this p value, adjusted for all comparisons."""

_SHORT: Mapping[Role, str] = {
    "robust": "robust",
    "named": "named",
    "best plain": "plain",
    "default plain": "default",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """One configuration over its seeds."""

    trial: int | None
    """Number of the search's trial; None: named by its parameters."""
    number: int
    """Among those that are of no trial, from 1."""
    roles: tuple[Role, ...]
    configuration: Configuration
    runs: tuple[ConfirmedRun, ...]

    @property
    def results(self) -> dict[int, ZeroShot]:
        """Test results by seed, without the runs that failed."""
        return {run.seed: run.zero_shot for run in self.runs if run.zero_shot is not None}

    @property
    def name(self) -> str:
        """What sentences call it: `trial 7 (robust)`."""
        if self.trial is None:
            return f"named {self.number}"
        return f"trial {self.trial} ({', '.join(self.roles)})"

    @property
    def label(self) -> str:
        """What tables call it: `trial 7 robust`; the roles in full stand in the first table."""
        if self.trial is None:
            return f"named {self.number}"
        return f"trial {self.trial} {_SHORT[self.roles[0]]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """A difference in the held-out mean, with its error."""

    mean: float
    low: float
    """Lower end of the 95 % confidence interval."""
    high: float
    """Upper end."""
    p: float
    """Two-sided, before any correction."""
    seeds: int
    items: int | None
    """Test items that were resampled; None: a t test over seeds, which takes them as given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A configuration against the best plain one, in the held-out mean, over shared seeds."""

    candidate: Confirmed
    plain: Confirmed
    gain: Gain | None
    """None: fewer than two seeds on which both have a result, or no held-out language."""
    is_tested: bool
    """Whether it is a hypothesis: not where the default plain one is compared, for orientation."""
    p: float | None = None
    """Adjusted for testing all hypotheses together (Holm)."""

    @property
    def is_confirmed(self) -> bool:
        """Whether the configuration is better, beyond chance."""
        if self.gain is None or self.p is None:
            return False
        return self.gain.mean > 0 and self.p < ALPHA


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimism:
    """How much better the search saw its winner than fresh seeds and the test split do."""

    winner: Confirmed
    languages: tuple[str, ...]
    """The dev languages, in which both are measured."""
    dev: float
    """Score in the search, mean over the languages."""
    test: tuple[float, ...]
    """Score by fresh seed on the test split, mean over the same languages."""

    @property
    def mean(self) -> float:
        """Mean over seeds of dev minus test."""
        return self.dev - statistics.fmean(self.test)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """All runs of a confirmation, weighed."""

    configurations: tuple[Confirmed, ...]
    """In the order of the runs: robust ones, the search's best first, named ones, plain ones."""
    contrasts: tuple[Contrast, ...]
    """The first one is the claim: the search's best robust trial against its best plain one."""
    failed: tuple[ConfirmedRun, ...]
    optimism: Optimism | None = None
    """None: the winner's dev score or its result is not known."""
    problems: tuple[str, ...] = ()
    """What could not be used or written, one sentence each."""


class Evidence(NamedTuple):
    """What is known beside the runs' scores."""

    answers: Mapping[RunKey, Answers] = {}
    """Of every run whose predictions were kept."""
    is_parallel: bool = True
    """Whether the test items are translations of each other, and drawn together."""
    dev_scores: Mapping[int, Mapping[str, float]] = {}
    """Score in the search by trial, then dev language; in the metric of the study."""


NO_EVIDENCE = Evidence()


def weigh(runs: Sequence[ConfirmedRun], evidence: Evidence = NO_EVIDENCE) -> Confirmation:
    """Return what the runs of a confirmation say.

    Every other configuration is set against the best plain one, over the seeds on which both have
    a result: with the interval and the p value of the hierarchical bootstrap where the predictions
    of both are there, else of a paired t test over seeds. Holm's correction is over the robust and
    the named ones; the default plain one is no hypothesis.

    Args:
        runs: from `confirm`; the best robust configuration first.
        evidence: their predictions, and the winner's scores in the search.
    """
    configurations = _by_configuration(runs)
    contrasts = _contrasts(configurations, evidence)
    return Confirmation(
        configurations=configurations,
        contrasts=contrasts,
        failed=tuple(run for run in runs if run.zero_shot is None),
        optimism=_optimism(configurations, evidence.dev_scores),
        problems=tuple(_fallback_notes(contrasts)),
    )


def _by_configuration(runs: Sequence[ConfirmedRun]) -> tuple[Confirmed, ...]:
    groups: dict[Configuration, list[ConfirmedRun]] = {}
    for run in runs:
        groups.setdefault(run.configuration, []).append(run)
    nameless = [key for key, same in groups.items() if same[0].trial is None]
    return tuple(
        Confirmed(
            trial=same[0].trial,
            number=nameless.index(key) + 1 if key in nameless else 0,
            roles=same[0].roles,
            configuration=key,
            runs=tuple(same),
        )
        for key, same in groups.items()
    )


def _contrasts(configurations: Sequence[Confirmed], evidence: Evidence) -> tuple[Contrast, ...]:
    plain = [c for c in configurations if {"best plain", "default plain"} & {*c.roles}]
    plain.sort(key=lambda c: "best plain" not in c.roles)
    contrasts = [
        Contrast(
            candidate=one,
            plain=plain[0],
            gain=_gain(one, plain[0], evidence),
            is_tested=bool({"robust", "named"} & {*one.roles}),
        )
        for one in configurations
        if plain and one is not plain[0]
    ]
    tested = [c.gain.p for c in contrasts if c.gain and c.is_tested]
    adjusted = iter(holm(tested))
    return tuple(replace(c, p=next(adjusted)) if c.gain and c.is_tested else c for c in contrasts)


def _gain(one: Confirmed, other: Confirmed, evidence: Evidence) -> Gain | None:
    first, second = one.results, other.results
    seeds = [s for s in first if s in second and math.isfinite(first[s].held_out_mean)]
    if len(seeds) < 2:
        return None
    sides = shared_answers(evidence.answers, one.configuration, other.configuration, seeds)
    found = sides and _bootstrapped(*sides, first[seeds[0]], is_parallel=evidence.is_parallel)
    return found or _over_seeds(
        [first[seed].held_out_mean for seed in seeds],
        [second[seed].held_out_mean for seed in seeds],
    )


def _bootstrapped(
    first: Sequence[Answers], second: Sequence[Answers], like: ZeroShot, *, is_parallel: bool
) -> Gain | None:
    """Return the gain with its error over seeds and items; None where an item stands alone."""
    languages = like.held_out_languages
    (means, influence), (other_means, other_influence) = (
        _stacked([answers.mean_and_influence(languages, like.metric) for answers in side])
        for side in (first, second)
    )
    rows = np.isin(first[0].languages, list(languages))
    strata = strata_of(
        (influence - other_influence)[:, rows],
        first[0].languages[rows],
        first[0].items[rows],
        joint=is_parallel,
    )
    units = [stratum.shape[1] for stratum in strata]
    if min(units, default=0) < 2:
        return None
    found = hierarchical_bootstrap(means - other_means, strata)
    return Gain(
        mean=float(found.mean),
        low=float(found.low),
        high=float(found.high),
        p=float(found.p),
        seeds=len(means),
        items=sum(units),
    )


def _stacked(by_seed: Sequence[tuple[float, Array]]) -> tuple[Array, Array]:
    means, influence = zip(*by_seed, strict=True)
    return np.array(means), np.stack(influence)


def _over_seeds(first: Sequence[float], second: Sequence[float]) -> Gain:
    found = paired_comparison(first, second)
    return Gain(
        mean=found.mean_difference,
        low=found.low,
        high=found.high,
        p=found.p,
        seeds=found.pairs,
        items=None,
    )


def _fallback_notes(contrasts: Iterable[Contrast]) -> Iterable[str]:
    """Yield for which differences the items are taken as given, and what that means."""
    bare = [c.candidate.label for c in contrasts if c.gain and c.gain.items is None]
    if bare:
        yield (
            f"{', '.join(bare)}: t test over seeds alone, since not all predictions of both sides"
            " are there; interval and p allow for other seeds but not for other test items, and"
            " are too narrow for a claim about the language"
        )


def _optimism(
    configurations: Sequence[Confirmed], dev_scores: Mapping[int, Mapping[str, float]]
) -> Optimism | None:
    winner = next((c for c in configurations if "robust" in c.roles), None)
    if winner is None or winner.trial is None or winner.trial not in dev_scores:
        return None
    seen = dev_scores[winner.trial]
    results = list(winner.results.values())
    if not results or not seen or not seen.keys() <= results[0].scores.keys():
        return None
    return Optimism(
        winner=winner,
        languages=tuple(seen),
        dev=statistics.fmean(seen.values()),
        test=tuple(result.mean_over(seen.keys()) for result in results),
    )
