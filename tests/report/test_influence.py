"""What one answer adds to accuracy and to macro-F1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.report.influence import score_and_influence
from rxtune.train.scores import accuracy, macro_f1

METRICS = ("accuracy", "macro_f1")
pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


def split(answers: list[tuple[int, int]]) -> tuple[Any, Any]:
    labels, predictions = zip(*answers, strict=True)
    return np.array(labels), np.array(predictions)


@given(pairs)
def test_the_scores_are_those_that_trials_are_given(answers: list[tuple[int, int]]) -> None:
    labels, predictions = split(answers)
    for metric, reference in zip(METRICS, (accuracy, macro_f1), strict=True):
        score, _ = score_and_influence(labels.astype(str), predictions.astype(str), metric)
        assert score == pytest.approx(reference(labels, predictions))


@given(pairs, st.sampled_from(METRICS))
def test_influences_sum_to_zero(answers: list[tuple[int, int]], metric: Any) -> None:
    assert score_and_influence(*split(answers), metric)[1].sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_an_answer_that_is_drawn_once_more_moves_the_score_by_its_influence(metric: Any) -> None:
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 3, 2000), rng.integers(0, 3, 2000)
    score, influence = score_and_influence(labels, predictions, metric)
    for at in range(12):
        again = [*range(2000), at]
        moved, _ = score_and_influence(labels[again], predictions[again], metric)
        assert moved - score == pytest.approx(influence[at], rel=0.01)
