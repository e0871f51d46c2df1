"""How well signals rank trials, on trials made for it."""

import csv
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.report.audit import (
    audit_csv,
    audit_notes,
    audit_signals,
    audit_table,
    row_name,
    spearman_interval,
)
from rxtune.results import ZeroShot


def result(dev=("qaf",), noisy=None, metric="accuracy", **scores):
    """Return a result that has these scores in the metric, and none worth a look in the other."""
    other = dict.fromkeys(scores, 0.5)
    both = {"accuracy": other, "macro_f1": other, metric: scores}
    return ZeroShot(
        **both, source_language="eng", dev_languages=dev, noisy_source=noisy, metric=metric
    )


def signal(audit, name):
    return next(signal for signal in audit.signals if signal.name == name)


@pytest.fixture
def search(trial):
    """Return a function that makes finished trials from their results, number by number."""

    def make(results, **changes):
        return [trial(n, zero_shot=found, **changes) for n, found in enumerate(results)]

    return make


FIGURES = [0.5, 0.7, 0.6, 0.4, 0.55]


@pytest.fixture
def plain_search(search):
    """Source and target go against each other, the dev language goes with the target."""
    return search(
        result(eng=1 - figure, qaf=figure - 0.1, qaa=figure, qab=figure, noisy=figure**2)
        for figure in FIGURES
    )


def test_a_signal_that_orders_trials_as_the_target_does_is_perfect(plain_search):
    found = signal(audit_signals(plain_search), "qaf (dev)")
    assert (found.correlation, found.high, found.regret) == (pytest.approx(1.0), 1.0, 0.0)
    assert found.chosen.number == 1
    assert found.low < 1.0


def test_a_signal_that_orders_them_the_other_way_chooses_the_worst(plain_search):
    found = signal(audit_signals(plain_search), "eng (source)")
    assert (found.correlation, found.low) == (pytest.approx(-1.0), -1.0)
    assert found.chosen.number == 3
    assert found.regret == pytest.approx(0.3)


def test_a_target_language_is_left_out_of_its_own_target(search):
    # qaa orders the trials against qab; the mean of both is the same for all.
    records = search(result(eng=0.9, qaf=0.5, qaa=f, qab=1 - f) for f in FIGURES)
    found = signal(audit_signals(records), "qaa (held out)")
    assert found.correlation == pytest.approx(-1.0)
    assert found.regret == pytest.approx(0.3)  # in qab: 0.6 for trial 3, 0.3 for trial 1


def test_a_dev_language_is_no_part_of_the_target(search):
    records = search(result(dev=("qaf", "qag"), eng=0.5, qaf=f, qag=f, qaa=1 - f) for f in FIGURES)
    audit = audit_signals(records)
    assert audit.held_out == ("qaa",)
    assert signal(audit, "qaf (dev)").correlation == pytest.approx(-1.0)
    # Nothing is left to be its target.
    assert math.isnan(signal(audit, "qaa (held out)").correlation)


def test_signals_stand_in_order_and_what_chose_is_marked(search):
    records = search(
        result(dev=("qaf", "qag"), noisy=f, eng=0.5, qaf=f, qag=f, qaa=f) for f in FIGURES
    )
    audit = audit_signals(records, objective="worst", first_rung=2)
    assert [row_name(signal) for signal in audit.signals] == [
        "eng (source)",
        "eng (source), noisy embeddings",
        "qaf (dev)",
        "qag (dev)",
        "mean of qaf, qag",
        "worst of qaf, qag *",
        "the search's value after evaluation 2",
        "qaa (held out)",
    ]


@pytest.mark.parametrize(
    ("dev", "objective", "chosen"),
    [
        (("qaf",), "mean", "qaf (dev)"),
        (("qaf",), "worst", "qaf (dev)"),
        (("qaf",), "source", "eng (source)"),
        (("eng",), "mean", "eng (source)"),
        (("eng", "qaf"), "mean", "mean of eng, qaf"),
        (("qaf", "qaa"), "source", "eng (source)"),
    ],
)
def test_just_one_signal_is_what_the_search_went_by(search, dev, objective, chosen):
    records = search(result(dev=dev, eng=0.5, qaf=f, qaa=f, qab=f) for f in FIGURES)
    audit = audit_signals(records, objective=objective)
    assert [signal.name for signal in audit.signals if signal.has_chosen] == [chosen]
    names = [signal.name for signal in audit.signals]
    assert len(set(names)) == len(names)


def test_mean_and_worst_of_dev_languages_are_those_of_every_trial(search):
    pairs = [(0.1, 0.9), (0.4, 0.5), (0.2, 0.4), (0.3, 0.3)]
    records = search(
        result(dev=("qaf", "qag"), eng=0.5, qaf=a, qag=b, qaa=min(a, b)) for a, b in pairs
    )
    audit = audit_signals(records)
    assert signal(audit, "worst of qaf, qag").correlation == pytest.approx(1.0)
    assert signal(audit, "mean of qaf, qag").chosen.number == 0
    assert signal(audit, "mean of qaf, qag").regret == pytest.approx(0.3)


def test_only_trials_that_ran_to_their_end_count(plain_search, trial):
    extra = [trial(8, "stopped", evaluations=2), trial(9, "failed", evaluations=0)]
    audit = audit_signals([*plain_search, *extra])
    assert (audit.trials, audit.started) == (5, 7)
    assert audit.signals == audit_signals(plain_search).signals
    assert "stopped early are not in it" in " ".join(audit_notes(audit))
    assert "stopped early" not in " ".join(audit_notes(audit_signals(plain_search)))


def test_a_tie_goes_to_a_plain_trial_as_in_the_search(search, trial):
    records = search(result(eng=0.5, qaf=f, qaa=f) for f in FIGURES)
    tied = trial(7, method="standard", zero_shot=result(eng=0.5, qaf=0.7, qaa=0.1))
    found = signal(audit_signals([*records, tied]), "qaf (dev)")
    assert found.chosen.number == 7
    assert found.regret == pytest.approx(0.6)


def test_a_signal_that_older_trials_lack_is_judged_on_the_others(search):
    results = [result(eng=0.5, qaf=f, qaa=f, noisy=f if f > 0.45 else None) for f in FIGURES]
    audit = audit_signals(search(results))
    found = signal(audit, "eng (source), noisy embeddings")
    assert (found.trials, found.correlation) == (4, pytest.approx(1.0))
    assert any("known of 4 trials only" in note for note in audit_notes(audit))
    fewer = signal(audit_signals(search(results[1:])), "eng (source), noisy embeddings")
    assert math.isnan(fewer.correlation)


def test_the_first_rung_is_judged_by_the_value_there(plain_search):
    # A trial of the fixture has the same value at every evaluation, and all trials the same.
    found = audit_signals(plain_search, first_rung=2)
    rung = signal(found, "the search's value after evaluation 2")
    assert rung.trials == 5
    assert math.isnan(rung.correlation)
    later = audit_signals(plain_search, first_rung=9)
    gone = signal(later, "the search's value after evaluation 9")
    assert (gone.trials, gone.chosen) == (0, None)


def test_macro_f1_is_audited_where_it_chose(search):
    records = search(result(metric="macro_f1", eng=0.5, qaf=f, qaa=f) for f in FIGURES)
    audit = audit_signals(records)
    assert signal(audit, "qaf (dev)").correlation == pytest.approx(1.0)
    assert "mean dev macro-F1 of the held-out languages (qaa)" in audit_notes(audit)[1]


SCORE = st.floats(0, 1)


@given(st.lists(st.tuples(SCORE, SCORE, SCORE, SCORE), min_size=4, max_size=9), st.randoms())
def test_any_search_has_sane_numbers_in_any_order(trial, drawn, random):
    records = [
        trial(n, zero_shot=result(eng=a, qaf=b, qaa=c, qab=d, noisy=a))
        for n, (a, b, c, d) in enumerate(drawn)
    ]
    audit = audit_signals(records, first_rung=2)
    random.shuffle(records)
    assert audit_table(audit_signals(records, first_rung=2)) == audit_table(audit)
    for found in audit.signals:
        assert found.regret >= 0.0
        assert math.isnan(found.low) or found.low <= found.correlation <= found.high
        assert math.isnan(found.low) or -1.0 <= found.low <= found.high <= 1.0


def test_no_trial_gives_no_signal():
    audit = audit_signals([])
    assert (audit.signals, audit.trials, audit.held_out) == ((), 0, ())


# --- the interval


def test_the_interval_is_that_of_bonett_and_wright():
    half = 1.959964 * math.sqrt((1 + 0.5**2 / 2) / 17)
    expected = [math.tanh(math.atanh(0.5) + side * half) for side in (-1, 1)]
    assert spearman_interval(0.5, 20) == pytest.approx(expected)
    assert spearman_interval(-0.5, 20) == pytest.approx([-expected[1], -expected[0]])


@pytest.mark.parametrize("correlation", [1.0, -1.0, 0.0, 0.9])
def test_few_pairs_have_a_wide_interval_and_too_few_none(correlation):
    low, high = spearman_interval(correlation, 4)
    assert low <= correlation <= high
    assert high - low > 1.0
    assert all(math.isnan(end) for end in spearman_interval(correlation, 3))


@pytest.mark.parametrize("n", [10, 30])
@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_the_interval_covers_the_true_correlation_as_often_as_it_says(n, rho):
    random = np.random.default_rng(0)
    a = random.normal(size=(2000, n))
    b = rho * a + math.sqrt(1 - rho**2) * random.normal(size=(2000, n))
    ranks = (values.argsort(axis=1).argsort(axis=1) - (n - 1) / 2 for values in (a, b))
    first, second = ranks
    found = (first * second).sum(axis=1) / (first**2).sum(axis=1)
    true = 6 / math.pi * math.asin(rho / 2)
    ends = [spearman_interval(float(correlation), n) for correlation in found]
    covered = np.mean([low <= true <= high for low, high in ends])
    assert 0.935 <= covered <= 0.975


# --- as text


def test_the_table_reads_without_a_legend_of_numbers(plain_search):
    table = audit_table(audit_signals(plain_search))
    assert table.header == (
        "signal",
        "rank correlation",
        "95 % interval",
        "would choose",
        "regret (points)",
    )
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["eng (source)"] == ("−1.00", "−1.00 to −0.16", "trial 3 rs_rp", "30.0")
    assert rows["qaf (dev) *"] == ("1.00", "0.16 to 1.00", "trial 1 rs_rp", "0.0")


def test_what_cannot_be_told_is_a_dash(search):
    records = search(result(eng=0.5, qaf=f, qaa=f) for f in FIGURES)
    rows = {row[0]: row[1:] for row in audit_table(audit_signals(records)).rows}
    assert rows["eng (source)"][:2] == ("–", "–")
    assert rows["eng (source), noisy embeddings"] == ("–", "–", "–", "–")
    assert rows["qaa (held out)"] == ("–", "–", "trial 1 rs_rp", "–")


def test_the_notes_say_that_nothing_was_chosen_by_it(plain_search):
    notes = audit_notes(audit_signals(plain_search))
    assert "it has chosen nothing" in notes[0]
    assert "held-out languages (qaa, qab)" in notes[1]


def test_the_csv_has_more_digits_and_blanks_for_what_is_not_known(plain_search):
    rows = list(csv.DictReader(io.StringIO(audit_csv(audit_signals(plain_search)))))
    source, dev = rows[0], rows[2]
    assert (source["signal"], source["has_chosen"], source["trials"]) == (
        "eng (source)",
        "false",
        "5",
    )
    assert float(source["correlation"]) == pytest.approx(-1.0)
    assert float(source["regret"]) == pytest.approx(0.3)
    assert (dev["has_chosen"], dev["chosen_trial"]) == ("true", "1")
    constant = csv.DictReader(io.StringIO(audit_csv(audit_signals(plain_search[:3]))))
    assert {row["correlation"] for row in constant} == {""}
