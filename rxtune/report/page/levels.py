"""How accurate a model is in a language, with its interval: from test items, and seeds if any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rxtune.config.select import Metric
from rxtune.report.answers import Answers, RunKey
from rxtune.report.bootstrap import hierarchical_bootstrap
from rxtune.report.confirmation import Confirmed
from rxtune.report.statistics import paired_comparison
from rxtune.results import TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A score, a share, with its 95 % interval; without one the ends are None."""

    mean: float
    low: float | None = None
    high: float | None = None


def searched_levels(record: TrialRecord, dev_items: Mapping[str, int]) -> dict[str, Level]:
    """Return a trial's dev score by language, with Wilson's interval for an accuracy.

    It allows for other items, not for another seed. Macro-F1 is no count: it has none here.

    Args:
        record: A trial that ran to its end.
        dev_items: Dev items by language, where they are known.
    """
    result = record.zero_shot
    if result is None:
        return {}
    is_count = result.metric == "accuracy"
    return {
        language: _wilson(score, dev_items.get(language) if is_count else None)
        for language, score in result.scores.items()
    }


def _wilson(accuracy: float, items: int | None) -> Level:
    if not items:
        return Level(mean=accuracy)
    # Over replicates the accuracy is a mean, of as many items as one of them has.
    test = stats.binomtest(min(round(accuracy * items), items), items)
    low, high = test.proportion_ci(0.95, method="wilson")
    return Level(mean=accuracy, low=float(low), high=float(high))


def confirmed_levels(one: Confirmed, answers: Mapping[RunKey, Answers]) -> dict[str, Level]:
    """Return a configuration's test score by language, the mean over its seeds.

    The interval is the hierarchical bootstrap's over seeds and test items where all predictions
    are there, else that of a t test over seeds.

    Args:
        one: A configuration of a confirmation.
        answers: Its predictions, as far as they were kept.
    """
    results = one.results
    kept = [answers.get((one.configuration, seed)) for seed in results]
    whole = [each for each in kept if each is not None]
    found = {}
    for language in next(iter(results.values())).scores if results else ():
        scores = [result.scores[language] for result in results.values()]
        metric = next(iter(results.values())).metric
        has_items = len(whole) == len(results) and _has_same_items(whole)
        found[language] = (
            _over_seeds_and_items(whole, language, metric)
            if has_items and len(scores) > 1
            else _over_seeds(scores)
        )
    return found


def _has_same_items(answers: Sequence[Answers]) -> bool:
    return all(each.is_of_same_items_as(answers[0]) for each in answers)


def _over_seeds_and_items(answers: Sequence[Answers], language: str, metric: Metric) -> Level:
    rows = answers[0].languages == language
    measured = [each.mean_and_influence([language], metric) for each in answers]
    means = np.array([mean for mean, _ in measured])
    if rows.sum() < 2:
        return _over_seeds(list(means))
    influence = np.stack([influence[rows] for _, influence in measured])
    found = hierarchical_bootstrap(means, [influence])
    return _bounded(float(found.mean), float(found.low), float(found.high))


def _over_seeds(scores: Sequence[float]) -> Level:
    if len(scores) < 2:
        return Level(mean=float(scores[0]))
    found = paired_comparison(scores, [0.0] * len(scores))
    return _bounded(found.mean_difference, found.low, found.high)


def _bounded(mean: float, low: float, high: float) -> Level:
    return Level(mean=mean, low=max(low, 0.0), high=min(high, 1.0))
