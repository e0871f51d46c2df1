"""Mixed-language pairs in results and tables, where they were measured."""

from __future__ import annotations

import pytest

from rxtune.config.configuration import Configuration
from rxtune.report import (
    comparison_table,
    means_table,
    mixed_language_matrices,
    mixed_language_table,
    summarise,
    weigh,
)
from rxtune.report.tables import MIXED_PAIRS
from rxtune.results import ConfirmedRun, ZeroShot

MATRIX = {"eng": {"eng": 0.9, "qaa": 0.6}, "qaa": {"eng": 0.4, "qaa": 0.7}}


def result(generalized=MATRIX, **fields):
    accuracy = {"eng": 0.9, "qaa": 0.7}
    return ZeroShot(
        accuracy=accuracy,
        source_language="eng",
        dev_languages=(),
        generalized=generalized,
        **fields,
    )


def test_the_mean_leaves_out_the_diagonal():
    assert result().generalized_mean == pytest.approx(0.5)
    assert result(None).generalized_mean is None
    assert result({"eng": {"eng": 0.9}}).generalized_mean is None


def test_results_of_before_are_read_as_not_measured():
    record = result(None).to_json()
    del record["generalized"]
    assert ZeroShot.from_json(record) == result(None)
    assert ZeroShot.from_json(result().to_json()) == result()


def test_the_matrix_has_the_first_sentence_in_rows():
    table = mixed_language_table(result())
    assert table.header[1:] == ("eng", "qaa")
    assert table.rows == (("eng", "90.0", "60.0"), ("qaa", "40.0", "70.0"))
    assert mixed_language_table(result(None)) is None


def test_a_summary_shows_the_mean_where_a_trial_has_it(trial):
    plain = trial(0, method="standard", is_baseline=True, zero_shot=result(None))
    robust = trial(1, zero_shot=result())
    rows = {row[0]: row[1:] for row in comparison_table(summarise([plain, robust])).rows}
    assert rows[MIXED_PAIRS] == ("50.0", "–", "–", "–")
    table = comparison_table(summarise([plain]))
    assert MIXED_PAIRS not in {row[0] for row in table.rows}


def test_a_confirmation_shows_the_mean_over_seeds():
    runs = [
        ConfirmedRun(
            trial=trial,
            roles=(role,),
            configuration=Configuration(learning_rate=1.0 + trial),
            seed=seed,
            zero_shot=result(None if trial else MATRIX, split="test"),
        )
        for seed in (1, 2)
        for trial, role in ((0, "robust"), (1, "best plain"))
    ]
    table = means_table(weigh(runs))
    column = table.header.index("mixed pairs")
    assert [row[column] for row in table.rows] == ["50.0±0.0", "–"]


def test_a_confirmation_shows_the_mean_matrix_of_both_sides_where_measured():
    other = {"eng": {"eng": 0.9, "qaa": 0.8}, "qaa": {"eng": 0.6, "qaa": 0.7}}
    runs = [
        ConfirmedRun(
            trial=trial,
            roles=(role,),
            configuration=Configuration(learning_rate=1.0 + trial),
            seed=seed,
            zero_shot=result(None if trial else matrix, split="test"),
        )
        for seed, matrix in ((1, MATRIX), (2, other))
        for trial, role in ((0, "robust"), (1, "best plain"))
    ]
    (table,) = mixed_language_matrices(weigh(runs)).values()
    assert table.rows == (("eng", "90.0", "70.0"), ("qaa", "50.0", "70.0"))
