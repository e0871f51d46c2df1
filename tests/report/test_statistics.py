"""The statistics agree with closed forms, with scipy, and refuse what they cannot answer."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from rxtune.report import binomial_standard_error, holm, paired_comparison, spearman

accuracies = st.floats(0.0, 1.0)
pairs = st.lists(st.tuples(accuracies, accuracies), min_size=2, max_size=10)


@given(pairs)
def test_swapping_a_and_b_turns_the_sign_and_keeps_p(values):
    a, b = zip(*values, strict=True)
    forward, backward = paired_comparison(a, b), paired_comparison(b, a)
    assert forward.mean_difference == pytest.approx(-backward.mean_difference)
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low))
    assert forward.p == pytest.approx(backward.p)


@given(pairs)
def test_the_interval_excludes_zero_exactly_when_p_is_below_5_percent(values):
    result = paired_comparison(*zip(*values, strict=True))
    assume(abs(result.p - 0.05) > 1e-6)
    assert (result.low > 0 or result.high < 0) == (result.p < 0.05)


@given(pairs)
def test_the_paired_test_agrees_with_scipy(values):
    a, b = (np.array(column) for column in zip(*values, strict=True))
    assume((a - b).std() > 1e-6)
    reference = stats.ttest_rel(a, b)
    result = paired_comparison(a, b)
    assert result.t == pytest.approx(reference.statistic)
    assert result.p == pytest.approx(reference.pvalue, abs=1e-12)
    interval = reference.confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))


def test_two_pairs_have_the_closed_form():
    result = paired_comparison([0.3, 0.5], [0.2, 0.2])
    assert result.mean_difference == pytest.approx(0.2)
    assert result.standard_deviation == pytest.approx(0.2 / math.sqrt(2))
    assert result.t == pytest.approx(2.0)
    # With one degree of freedom t is Cauchy.
    assert result.p == pytest.approx(1 - 2 * math.atan(2.0) / math.pi)


def test_equal_differences_are_certain_and_no_difference_is_none():
    always = paired_comparison([0.7, 0.6, 0.5], [0.6, 0.5, 0.4])
    assert (always.t, always.p, always.standard_deviation) == (math.inf, 0.0, 0.0)
    assert always.low == always.high == pytest.approx(0.1)
    never = paired_comparison([0.7, 0.6], [0.7, 0.6])
    assert (never.t, never.p, never.mean_difference) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("function", [paired_comparison, spearman])
@pytest.mark.parametrize(
    ("a", "b", "text"),
    [
        ([1.0, 2.0], [1.0], "equal lengths, got 2 and 1"),
        ([1.0], [1.0], "at least 2 pairs are needed, got 1"),
        ([1.0, math.nan], [1.0, 2.0], "all values must be finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(function, a, b, text):
    with pytest.raises(ValueError, match=text):
        function(a, b)


@given(pairs)
def test_rank_correlation_agrees_with_scipy(values):
    a, b = zip(*values, strict=True)
    assume(len(set(a)) > 1 and len(set(b)) > 1)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)


def test_rank_correlation_of_a_constant_is_nan():
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))


def test_the_standard_error_is_that_of_the_binomial():
    assert binomial_standard_error(0.5, 1000) == pytest.approx(0.0158, abs=1e-4)
    assert binomial_standard_error(1.0, 10) == 0.0


@pytest.mark.parametrize(
    ("accuracy", "n", "text"), [(1.1, 5, "accuracy <= 1"), (0.5, 0, "n >= 1")]
)
def test_an_impossible_accuracy_is_refused(accuracy, n, text):
    with pytest.raises(ValueError, match=text):
        binomial_standard_error(accuracy, n)


def test_holm_adjusts_step_by_step():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_stays_between_p_and_bonferroni(p_values):
    adjusted = holm(p_values)
    for p, new in zip(p_values, adjusted, strict=True):
        assert p <= new <= min(1.0, p * len(p_values))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in order] == sorted(adjusted)


def test_holm_refuses_what_is_no_probability():
    with pytest.raises(ValueError, match="0 <= p <= 1"):
        holm([0.5, 1.5])
