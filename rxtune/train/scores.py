"""From predictions to scores: accuracy and macro-F1 by language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rxtune.config.select import Metric

ClassIds = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Scores:
    """How well a model did, by language; shares in [0, 1]."""

    accuracy: dict[str, float]
    macro_f1: dict[str, float]

    def by(self, metric: Metric) -> dict[str, float]:
        """Return the score by language in one metric."""
        return self.macro_f1 if metric == "macro_f1" else self.accuracy


def count_scores(predictions: Mapping[str, ClassIds], tables: Mapping[str, pa.Table]) -> Scores:
    """Return the scores of predictions.

    Args:
        predictions: Language -> class id of every row (N,).
        tables: Language -> table with the `label` of the same rows.
    """
    labels = {language: tables[language].column("label").to_numpy() for language in predictions}
    return Scores(
        accuracy={lang: accuracy(labels[lang], found) for lang, found in predictions.items()},
        macro_f1={lang: macro_f1(labels[lang], found) for lang, found in predictions.items()},
    )


def score(labels: ClassIds, predictions: ClassIds, metric: Metric) -> float:
    """Return accuracy or macro-F1 in [0, 1] of predictions (N,) against labels (N,)."""
    return macro_f1(labels, predictions) if metric == "macro_f1" else accuracy(labels, predictions)


def accuracy(labels: ClassIds, predictions: ClassIds) -> float:
    """Return the share of right predictions (N,) in [0, 1]."""
    return float((predictions == labels).mean())


def macro_f1(labels: ClassIds, predictions: ClassIds) -> float:
    """Return the unweighted mean over classes of F1 = 2 TP / (2 TP + FP + FN), in [0, 1].

    A class that is neither labelled nor predicted has no F1 and takes no part in the mean; one
    that is only labelled, or only predicted, has 0. That is what scikit-learn's
    `f1_score(…, average="macro")` does when it is not told the labels.

    Args:
        labels: Right class ids (N,), N > 0, all >= 0.
        predictions: Predicted class ids (N,), all >= 0.
    """
    # 2 TP + FP + FN is how often a class is labelled plus how often it is predicted.
    counted = np.bincount(np.concatenate([labels, predictions]))
    right = np.bincount(labels[labels == predictions], minlength=len(counted))
    occurs = counted > 0
    return float((2 * right[occurs] / counted[occurs]).mean())
