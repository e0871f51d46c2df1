"""The summary as text, whole and with pieces missing."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config.configuration import Configuration
from rxtune.report import (
    Table,
    comparison_table,
    describe,
    markdown,
    optimism_note,
    plain_text,
    summarise,
)
from rxtune.results import Failure, Replicate, ZeroShot


@pytest.fixture
def records(trial):
    robust = Configuration(method="rs_rp", sigma=0.8, learning_rate=2.0)
    return [
        trial(0, value=0.5, method="standard", is_baseline=True),
        trial(1, value=0.7, configuration=robust, absolute={"sigma": 0.0712}),
        trial(2, value=0.6, method="standard"),
    ]


def row(table, label):
    return next(cells[1:] for cells in table.rows if cells[0] == label)


def test_the_table_sets_best_robust_beside_best_plain_and_default_plain(records):
    table = comparison_table(summarise(records))
    assert table.header == ("", "best robust", "best plain", "default plain", "robust − plain")
    assert row(table, "trial") == ("1", "2", "0", "")
    assert row(table, "method") == ("rs_rp", "standard", "standard", "")
    assert row(table, "sigma") == ("0.8 (0.0712)", "–", "–", "")
    assert row(table, "dev score (qaf)") == ("70.0", "60.0", "50.0", "+10.0")
    assert row(table, "target mean") == ("75.0", "65.0", "55.0", "+10.0")
    assert row(table, "held-out mean") == ("80.0", "70.0", "60.0", "+10.0")


def test_languages_stand_source_first_then_dev_then_held_out(records):
    labels = [cells[0] for cells in comparison_table(summarise(records)).rows]
    assert labels[-5:] == ["eng (source)", "qaf (dev)", "qaa", "target mean", "held-out mean"]


def test_parameters_that_nobody_reads_or_changes_have_no_row(records):
    labels = {cells[0] for cells in comparison_table(summarise(records)).rows}
    assert labels.isdisjoint({"radius", "pgd_steps", "norm", "clean_weight", "epochs"})
    assert "learning_rate" in labels


def test_what_was_searched_beyond_the_main_parameters_has_a_row(trial):
    ascent = {"method": "freelb", "radius": 0.1, "pgd_steps": 3}
    robust = Configuration(**ascent, random_start=True, ball="sequence", site="context")
    table = comparison_table(summarise([trial(1, value=0.7, configuration=robust)]))
    assert row(table, "random_start") == ("true", "–", "–", "")
    assert row(table, "ball") == ("sequence", "–", "–", "")
    assert row(table, "site")[0] == "context"
    labels = {cells[0] for cells in table.rows}
    assert labels.isdisjoint({"norm", "step_size", "copies", "samples"})


def test_a_method_that_replaces_words_shows_how_often_and_how(trial):
    static = Configuration(method="rs_da", replace_probability=0.75, substitution="static")
    table = comparison_table(summarise([trial(1, value=0.7, configuration=static)]))
    assert row(table, "replace_probability")[0] == "0.75"
    assert row(table, "substitution")[0] == "static"
    assert "copies" not in {cells[0] for cells in table.rows}  # as many as by default


def test_a_loss_has_a_minus_sign(trial):
    table = comparison_table(
        summarise([trial(0, value=0.5), trial(1, value=0.6, method="standard")])
    )
    assert row(table, "dev score (qaf)")[-1] == "−10.0"


def test_a_source_language_that_chose_is_marked_as_both(trial):
    alone = ZeroShot(
        accuracy={"qaf": 0.5, "eng": 0.9}, source_language="eng", dev_languages=("eng",)
    )
    table = comparison_table(summarise([trial(0, zero_shot=alone)]))
    assert row(table, "eng (source, dev)")[0] == "90.0"


@pytest.mark.parametrize("kept", list(itertools.product([True, False], repeat=3)))
def test_any_piece_may_be_missing(records, trial, kept):
    some = [record for record, keep in zip(records, kept, strict=True) if keep]
    summary = summarise([*some, trial(9, "failed", evaluations=0, reason="out of memory")])
    table = comparison_table(summary)
    assert {len(cells) for cells in table.rows} == {len(table.header)}
    assert plain_text(table)
    text = describe(summary, "runs/rs")
    assert ("rxtune confirm" in text) == (records[1] in some)  # it needs a robust trial
    assert ("own score is optimistic" in text) == bool(some)


def test_the_note_says_who_chose_and_what_settles_it(records):
    assert optimism_note(summarise(records), "rs") == (
        "A search's own score is optimistic: the winner was chosen on the dev language qaf. "
        "Settle it with `rxtune confirm rs`."
    )


def test_what_was_cut_off_is_no_failure_of_the_search(records, trial):
    cut = trial(3, "failed", evaluations=1, failure=Failure.INTERRUPTED)
    summary = summarise([*records, cut, trial(4, "failed", failure=Failure.DIVERGED)])
    assert (summary.trials, summary.cut_off) == (4, 1)
    assert describe(summary, "rs").startswith(
        "4 trials: 3 finished, 1 failed; 1 more was cut off when the search ended."
    )


def test_the_description_has_counts_table_note_and_warnings(records, trial):
    stopped = trial(3, "stopped", evaluations=2)
    text = describe(summarise([*records, stopped], evaluations=6, examples=10), "rs")
    assert text.startswith("4 trials: 3 finished, 1 stopped. Early stopping saved 17 %")
    assert "| trial | 1 | 2 | 0 |  |" in text
    assert "Settle it with `rxtune confirm rs`." in text
    assert "- **Note:** the best robust trial is 10.0 points above" in text


def test_scores_over_several_seeds_say_over_how_many(records):
    result = records[1].zero_shot
    seeds = tuple(Replicate(seed=s, value=0.6 + s / 10, zero_shot=result) for s in range(3))
    table = comparison_table(summarise([records[0], replace(records[1], replicates=seeds)]))
    assert row(table, "seeds") == ("3", "1", "1", "")
    assert row(table, "dev score (qaf)")[0] == "70.0"
    assert "seeds" not in {cells[0] for cells in comparison_table(summarise(records)).rows}


cells = st.text(st.characters(exclude_categories=("C", "Z")), max_size=6)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_every_cell_survives_both_renderings(rows):
    table = Table(rows[0], tuple(rows[1:]))
    lines = markdown(table).splitlines()
    assert len(lines) == len(rows) + 1
    bare = [line.replace("\\|", "").count("|") for line in lines]
    assert set(bare) == {3}
    shown = plain_text(table)
    assert all(cell in shown for line in rows for cell in line)


def test_without_a_robust_trial_there_is_no_column_of_dashes_but_a_note(trial):
    records = [trial(0, method="standard", is_baseline=True), trial(1, "stopped")]
    summary = summarise(records)
    table = comparison_table(summary)
    assert table.header == ("", "best plain", "default plain")
    assert row(table, "dev score (qaf)") == ("50.0", "50.0")
    assert "no robust trial ran to its end" in describe(summary, "rs")


def test_a_table_of_macro_f1_says_so_and_shows_it(trial):
    plain = trial(0, method="standard", is_baseline=True)
    last = replace(plain.evaluations[-1], metric="macro_f1")
    other = {"eng": 0.8, "qaa": 0.3, "qaf": 0.4}
    result = replace(plain.zero_shot, metric="macro_f1", macro_f1=other)
    both = [replace(record, zero_shot=result, evaluations=(last,)) for record in (plain, trial(1))]
    table = comparison_table(summarise(both))
    assert table.header[0] == "macro-F1, %"
    assert row(table, "qaa")[0] == "30.0"
    assert row(table, "held-out mean")[0] == "30.0"
    assert row(table, "eng (source)")[0] == "80.0"
