"""A trial on several seeds: which seeds, who gets more of them, and what the result is."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from rxtune.results import Replicate, ZeroShot

REDUCTION_FACTOR = 3
"""One in this many trials is a contender, which another seed is worth."""


def replicate_seed(search_seed: int, index: int) -> int:
    """Return the seed of a trial's replicate; the first one is the search's own.

    All trials share them, so that they differ by their configurations alone.
    """
    if index == 0:
        return search_seed
    return random.Random(f"rxtune replicate {search_seed} {index}").getrandbits(31)


def is_contender(number: int, replicates: Mapping[int, Sequence[Replicate]]) -> bool:
    """Return whether a trial is among the best third of those with as many seeds.

    Args:
        number: The trial.
        replicates: By trial, as many of each as this one has.
    """
    means = {trial: fmean(r.value for r in some) for trial, some in replicates.items()}
    better = sum(mean > means[number] for mean in means.values())
    return better < max(len(means) // REDUCTION_FACTOR, 1)


def mean_result(results: Sequence[ZeroShot]) -> ZeroShot:
    """Return the mean of the results over seeds, language by language."""
    first = results[0]
    noisy = [r.noisy_source for r in results if r.noisy_source is not None]
    return replace(
        first,
        accuracy=_mean([r.accuracy for r in results]),
        macro_f1=_mean([r.macro_f1 for r in results]),
        noisy_source=fmean(noisy) if noisy else None,
        generalized=_mean_matrix([r.generalized for r in results if r.generalized is not None]),
    )


def _mean(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {language: fmean(r[language] for r in results) for language in results[0]}


def _mean_matrix(
    results: Sequence[Mapping[str, Mapping[str, float]]],
) -> dict[str, dict[str, float]] | None:
    if not results:
        return None
    return {first: _mean([r[first] for r in results]) for first in results[0]}
