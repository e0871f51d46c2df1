"""Records that cross rooms, as older versions wrote them and by another metric."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from rxtune.results import Evaluation, ZeroShot

OLD_EVALUATION = {
    "number": 1,
    "updates": 10,
    "value": 0.5,
    "accuracy": {"qaf": 0.5},
    "train_loss": 1.0,
    "forward_equivalents": 30.0,
    "seconds": 1.0,
    "time": 2.0,
}
OLD_RESULT = {
    "accuracy": {"eng": 0.9, "qaa": 0.7, "qaf": 0.5},
    "source_language": "eng",
    "dev_languages": ["qaf"],
    "split": "dev",
    "generalized": None,
}


def test_records_of_a_journal_before_macro_f1_load_as_accuracy() -> None:
    evaluation, result = Evaluation.from_json(OLD_EVALUATION), ZeroShot.from_json(OLD_RESULT)
    assert evaluation.scores == {"qaf": 0.5}
    assert (evaluation.objectives, evaluation.macro_f1) == ((), {})
    assert result.scores == result.accuracy
    assert (result.noisy_source, result.macro_f1) == (None, {})


@pytest.fixture
def result() -> ZeroShot:
    return ZeroShot(
        accuracy={"eng": 0.9, "qaa": 0.7, "qaf": 0.5, "qag": 0.6},
        macro_f1={"eng": 0.8, "qaa": 0.1, "qaf": 0.4, "qag": 0.3},
        source_language="eng",
        dev_languages=("qaf",),
    )


def test_every_mean_is_of_the_metric_that_chose(result: ZeroShot) -> None:
    by_f1 = replace(result, metric="macro_f1")
    assert (result.source_score, by_f1.source_score) == (0.9, 0.8)
    assert (result.worst_language, by_f1.worst_language) == ("qaf", "qaa")
    assert result.target_mean == pytest.approx(0.6)
    assert by_f1.target_mean == pytest.approx(0.8 / 3)
    assert result.held_out_mean == pytest.approx(0.65)
    assert by_f1.held_out_mean == pytest.approx(0.2)
    assert math.isnan(by_f1.mean_over(()))


def test_a_result_comes_back_from_json_as_it_was(result: ZeroShot) -> None:
    changed = replace(result, metric="macro_f1", noisy_source=0.4)
    assert ZeroShot.from_json(changed.to_json()) == changed
