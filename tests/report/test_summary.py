"""Who won, what it cost, and what to doubt."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config.configuration import Configuration
from rxtune.config.space import Choice, Int, LogUniform, Parameter, Space, Uniform
from rxtune.report import summarise
from rxtune.results import Failure, TrialState, ZeroShot

METHODS = ["standard", "rs_rp"]


@given(
    st.lists(
        st.tuples(st.sampled_from(METHODS), st.sampled_from(list(TrialState)), st.floats(0, 1)),
        max_size=8,
    )
)
def test_the_winner_is_the_best_finished_trial_in_any_order(trial, drawn):
    records = [
        trial(number, state, value, method) for number, (method, state, value) in enumerate(drawn)
    ]
    summary = summarise(records)
    random.Random(0).shuffle(records)
    assert summarise(records) == summary
    finished = [value for _, state, value in drawn if state is TrialState.FINISHED]
    assert (summary.winner is None) == (not finished)
    if summary.winner is not None:
        assert summary.winner.value == max(finished)
        assert summary.winner in (summary.best_plain, summary.best_robust)
    assert summary.trials == len(drawn)


def test_the_best_robust_stands_beside_best_plain_and_default_plain(trial):
    records = [
        trial(0, value=0.5, method="standard", is_baseline=True),
        trial(1, value=0.7),
        trial(2, value=0.6, method="standard"),
        trial(3, value=0.6),
        trial(4, "stopped", value=0.9, evaluations=2),
    ]
    summary = summarise(records)
    found = (summary.default_plain, summary.best_plain, summary.best_robust, summary.winner)
    assert [record.number for record in found] == [0, 2, 1, 1]
    assert summary.gain == pytest.approx(0.1)
    assert summary.dev_languages == ("qaf",)
    assert summary.warnings == ()


def test_on_a_tie_the_plain_trial_wins(trial):
    summary = summarise([trial(1, value=0.5), trial(2, value=0.5, method="standard")])
    assert summary.winner.number == 2


def test_a_score_that_is_not_finite_never_wins(trial):
    summary = summarise([trial(1, value=math.nan), trial(2, value=0.4)])
    assert summary.winner.number == 2


def test_early_stopping_saves_what_the_stopped_trials_had_left(trial):
    records = [
        trial(0),  # cost 600
        trial(1, "stopped", evaluations=2),  # cost 200, would have cost 600
        trial(2, "stopped", evaluations=4),  # cost 400, would have cost 600
        trial(3, "failed", evaluations=1),  # cost 100, and saved nothing
        trial(4, "failed", evaluations=0),
    ]
    summary = summarise(records, evaluations=6)
    assert summary.spent == 1300.0
    assert summary.saved_share == pytest.approx(600 / 1900)


@given(st.lists(st.integers(1, 6), max_size=6))
def test_the_saved_share_lies_between_nothing_and_all(trial, stops):
    records = [trial(number, "stopped", evaluations=e) for number, e in enumerate(stops)]
    share = summarise(records, evaluations=6).saved_share
    assert (share is None) == (not stops)
    assert share is None or 0.0 <= share < 1.0


def test_without_the_number_of_evaluations_the_saved_share_is_unknown(trial):
    assert summarise([trial(0)]).saved_share is None


def space():
    domains = {
        "method": Choice(("standard", "rs_rp", "adv")),
        "sigma": LogUniform(0.1, 10.0),
        "radius": LogUniform(0.003, 0.3),
        "pgd_steps": Int(1, 3),
        "learning_rate": LogUniform(0.3, 3.0),
    }
    return Space(parameters={name: Parameter(name, domain) for name, domain in domains.items()})


@pytest.mark.parametrize(
    ("configuration", "edges"),
    [
        (Configuration(method="rs_rp", sigma=1.0), []),
        (Configuration(method="rs_rp", sigma=9.0), ["sigma = 9 is at the upper end"]),
        (Configuration(method="rs_rp", sigma=0.11), ["sigma = 0.11 is at the lower end"]),
        # 1.0 of [0.1, 10] is the middle of a logarithmic domain, not its lower end.
        (Configuration(method="adv", radius=0.03, pgd_steps=1), []),
        (
            Configuration(method="adv", radius=0.3, pgd_steps=3, learning_rate=2.9),
            ["learning_rate = 2.9", "radius = 0.3", "pgd_steps = 3 is at the upper end"],
        ),
        # The baseline's value need not lie in the space; a method's unread values are no edge.
        (Configuration(learning_rate=100.0), []),
    ],
)
def test_a_winner_at_the_edge_of_the_space_is_told(trial, configuration, edges):
    best = [trial(1, value=0.9, configuration=configuration), trial(0, value=0.1)]
    plain = [trial(2, value=0.1, method="standard", is_baseline=True)]
    told = [w for w in summarise(best + plain, space=space()).warnings if "end of what" in w]
    assert len(told) == len(edges)
    assert all(edge in warning for edge, warning in zip(edges, told, strict=True))


def test_a_winner_where_a_range_can_reach_no_further_is_not_told(trial):
    share = Uniform(0.0, 1.0)
    all_words = Space(
        {
            "method": Parameter("method", Choice(("standard", "rs_da"))),
            "replace_probability": Parameter("replace_probability", share),
        }
    )
    plain = trial(0, value=0.1, method="standard", is_baseline=True)
    for value in (0.001, 0.999):
        winner = Configuration(method="rs_da", replace_probability=value)
        records = [trial(1, value=0.9, configuration=winner), plain]
        assert not any("end of what" in w for w in summarise(records, space=all_words).warnings)


def test_a_gain_within_the_noise_is_told(trial):
    plain = trial(0, value=0.50, method="standard", is_baseline=True)
    small = summarise([plain, trial(1, value=0.52)], examples=1000)
    assert "2.0 points above the best plain one, less than two standard" in small.warnings[0]
    assert summarise([plain, trial(1, value=0.58)], examples=1000).warnings == ()


@pytest.mark.parametrize(
    ("trials", "text"),
    [
        ([], "no trial ran to its end"),
        ([(0, "standard", "failed"), (1, "rs_rp", "failed")], "2 of 2 trials failed; most often"),
        ([(0, "standard", "finished")], "no robust trial ran to its end"),
        ([(1, "rs_rp", "finished")], "no trial of plain fine-tuning ran to its end"),
        ([(0, "standard", "finished"), (1, "rs_rp", "finished")], "at default parameters has no"),
        ([(0, "standard", "finished"), (1, "rs_rp", "finished")], "no robust trial is better"),
    ],
)
def test_what_is_missing_is_told(trial, trials, text):
    records = [
        trial(number, state, method=method, reason="out of memory" if state == "failed" else None)
        for number, method, state in trials
    ]
    assert any(text in warning for warning in summarise(records).warnings)


@pytest.mark.parametrize(
    ("objective", "dev", "metric", "name"),
    [
        ("mean", ("qaf",), "accuracy", "dev score (qaf)"),
        ("mean", ("qaf", "qag"), "macro_f1", "dev macro-F1 (qaf, qag)"),
        ("worst", ("qaf", "qag"), "accuracy", "dev score (worst of qaf, qag)"),
        ("worst", ("qaf",), "accuracy", "dev score (qaf)"),
        ("source", ("qaf",), "accuracy", "dev score (eng)"),
    ],
)
def test_the_score_is_named_by_what_the_search_maximised(trial, objective, dev, metric, name):
    plain = trial(0, method="standard")
    scores = {"eng": 0.9, "qaf": 0.5, "qag": 0.4}
    result = ZeroShot(
        accuracy=scores, macro_f1=scores, metric=metric, source_language="eng", dev_languages=dev
    )
    last = replace(plain.evaluations[-1], metric=metric)
    record = replace(plain, zero_shot=result, evaluations=(last,))
    assert summarise([record], objective=objective).score_name == name


def test_trials_that_the_searchs_end_cut_off_are_no_failures_and_count_once(trial):
    cut = replace(
        trial(1, "failed", evaluations=2), failure=Failure.INTERRUPTED, reason="ended: no time"
    )
    again = replace(trial(3), retry_of=1)
    summary = summarise([trial(0, method="standard"), cut, trial(2), again])
    assert not any("failed" in warning for warning in summary.warnings)
    whole = summarise([trial(0, method="standard"), trial(2), trial(3)])
    assert summary.spent == whole.spent
