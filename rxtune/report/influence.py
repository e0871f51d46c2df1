"""What a single answer adds to a score: accuracy or macro-F1, to first order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxtune.config.select import Metric

Array = NDArray[Any]


def score_and_influence(labels: Array, predictions: Array, metric: Metric) -> tuple[float, Array]:
    """Return a score in [0, 1], and by how much every answer moves it off its mean.

    If answer i were drawn w_i times instead of once, the score would be the score plus the sum of
    w_i times its influence: exactly for accuracy, to first order for macro-F1 (the infinitesimal
    jackknife). So what is true of a mean can be said of macro-F1, too. The influences sum to 0.

    Args:
        labels: Right class of every answer (N,), N > 0.
        predictions: Predicted class of every answer (N,).
        metric: Which score.
    """
    right = labels == predictions
    if metric == "accuracy":
        return float(right.mean()), (right - right.mean()) / len(right)
    classes, codes = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    label, prediction = np.split(codes, 2)
    # F1 = 2 TP / (2 TP + FP + FN), whose denominator counts labels and predictions of the class.
    counted = np.bincount(codes, minlength=len(classes))
    f1 = 2 * np.bincount(label[right], minlength=len(classes)) / counted
    moved = (f1 / counted)[label] + (f1 / counted)[prediction]
    gained = np.where(right, 2 / counted[label], 0.0)
    return float(f1.mean()), (gained - moved) / len(classes)
