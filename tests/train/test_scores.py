"""Accuracy and macro-F1 from predictions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.train.scores import Scores, accuracy, count_scores, macro_f1, score

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)


def arrays(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    labels, predictions = np.array(pairs, dtype=np.int64).T
    return labels, predictions


def by_definition(pairs: list[tuple[int, int]]) -> float:
    """Return macro-F1 from precision and recall, class by class."""
    found = []
    for c in {class_id for pair in pairs for class_id in pair}:
        right = sum(label == guess == c for label, guess in pairs)
        guessed = sum(guess == c for _, guess in pairs)
        labelled = sum(label == c for label, _ in pairs)
        precision = right / guessed if guessed else 0.0
        recall = right / labelled if labelled else 0.0
        both = precision + recall
        found.append(2 * precision * recall / both if both else 0.0)
    return sum(found) / len(found)


@given(PAIRS)
def test_macro_f1_is_the_mean_of_the_classes_harmonic_means(pairs: list[tuple[int, int]]) -> None:
    assert macro_f1(*arrays(pairs)) == pytest.approx(by_definition(pairs))


@given(PAIRS, st.permutations(range(5)))
def test_macro_f1_depends_neither_on_names_of_classes_nor_on_the_side(
    pairs: list[tuple[int, int]], names: list[int]
) -> None:
    labels, predictions = arrays(pairs)
    expected = macro_f1(labels, predictions)
    renamed = np.array(names)
    assert macro_f1(renamed[labels], renamed[predictions]) == pytest.approx(expected)
    assert macro_f1(predictions, labels) == pytest.approx(expected)


@given(PAIRS)
def test_scores_lie_between_none_and_all_right(pairs: list[tuple[int, int]]) -> None:
    labels, predictions = arrays(pairs)
    for metric in (accuracy, macro_f1):
        assert 0.0 <= metric(labels, predictions) <= 1.0
        assert metric(labels, labels) == 1.0
    assert (macro_f1(labels, predictions) == 1.0) == (accuracy(labels, predictions) == 1.0)


@pytest.mark.parametrize(
    ("labels", "predictions", "expected"),
    [
        # TP 1, FP 0, FN 1 -> 2/3; TP 1, FP 1, FN 0 -> 2/3.
        ([0, 0, 1], [0, 1, 1], 2 / 3),
        # One class is always guessed: 2 · 3 / (3 + 4) for it and 0 for the other.
        ([0, 0, 0, 1], [0, 0, 0, 0], 3 / 7),
        # Class 1 is neither labelled nor guessed: no class of the mean.
        ([0, 2], [0, 2], 1.0),
        # Class 2 is only guessed: it counts, with 0.
        ([0, 0], [0, 2], 1 / 3),
        ([0, 1], [1, 0], 0.0),
    ],
)
def test_closed_forms(labels: list[int], predictions: list[int], expected: float) -> None:
    assert macro_f1(np.array(labels), np.array(predictions)) == pytest.approx(expected)


def test_scores_are_counted_by_language() -> None:
    tables = {
        "eng": pa.table({"label": [0, 0, 0, 1]}),
        "qaa": pa.table({"label": [0, 1]}),
    }
    found = count_scores({"eng": np.zeros(4, int), "qaa": np.array([0, 1])}, tables)
    assert found == Scores({"eng": 0.75, "qaa": 1.0}, {"eng": pytest.approx(3 / 7), "qaa": 1.0})
    assert found.by("accuracy") is found.accuracy
    assert found.by("macro_f1") is found.macro_f1
    assert score(np.array([0, 1]), np.array([0, 0]), "accuracy") == 0.5
    assert score(np.array([0, 1]), np.array([0, 0]), "macro_f1") == pytest.approx(1 / 3)
