"""Domains of parameters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config import Choice, Constant, Int, LogInt, LogUniform, Uniform
from rxtune.config.domains import ends

reals = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=1e-300, max_value=1e300)
whole = st.integers(-(2**40), 2**40)


def two(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[list[float]]:
    return st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted)


domains = st.one_of(
    two(reals).map(lambda bounds: Uniform(*bounds)),
    two(positive).map(lambda bounds: LogUniform(*bounds)),
    two(whole).map(lambda bounds: Int(*bounds)),
    two(st.integers(1, 2**40)).map(lambda bounds: LogInt(*bounds)),
    st.lists(whole, min_size=1, unique=True).map(lambda values: Choice(tuple(values))),
    reals.map(Constant),
)


@given(domains)
def test_the_middle_lies_in_the_domain(domain):
    assert domain.contains(domain.middle())


@given(domains, st.floats(-1e9, 1e9))
def test_the_closest_value_lies_in_the_domain(domain, wanted):
    assert domain.contains(domain.closest(wanted))


@given(two(reals), reals)
def test_a_value_of_the_domain_is_closest_to_itself(bounds, wanted):
    domain = Uniform(*bounds)
    assert (domain.closest(wanted) == wanted) == domain.contains(wanted)


@given(two(positive))
def test_the_log_middle_is_the_geometric_mean(bounds):
    low, high = bounds
    expected = math.sqrt(low) * math.sqrt(high)
    assert LogUniform(low, high).middle() == pytest.approx(expected, rel=1e-9)


def test_middles_in_closed_form():
    assert Uniform(1, 3).middle() == 2.0
    assert LogUniform(0.01, 100).middle() == pytest.approx(1.0)
    assert Int(2, 5).middle() == 2
    assert LogInt(4, 64).middle() == 4
    assert Choice(("b", "a")).middle() == "b"
    assert Constant(7).middle() == 7


def test_the_closest_value_is_clipped():
    assert LogUniform(2.0, 5.0).closest(1.0) == 2.0
    assert Int(1, 3).closest(9.6) == 3
    assert Int(1, 9).closest(2.6) == 3
    assert Choice((0.5, 2.0, 1.25)).closest(1.0) == 1.25


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (Choice((0.5, 2.0, 1e-5)), (1e-5, 2.0)),
        (Int(1, 3), (1, 3)),
        (LogUniform(2.0, 5.0), (2.0, 5.0)),
        (Constant(7), (7, 7)),
    ],
)
def test_the_ends_of_a_domain_are_its_lowest_and_highest_number(domain, expected):
    assert ends(domain) == expected


def test_bounds_belong_to_the_domain_and_other_types_do_not():
    assert Int(1, 3).contains(1)
    assert Int(1, 3).contains(3)
    for stranger in (0, 4, 2.0, "2", True, None, math.nan):
        assert not Int(1, 3).contains(stranger)
    assert Uniform(0, 1).contains(1)
    assert not Uniform(0, 1).contains(True)


def test_true_is_not_one():
    assert Choice((True, False)).contains(True)
    assert not Choice((True, False)).contains(1)
    assert not Choice((1, 0)).contains(True)
    assert not Constant(0).contains(False)
    assert Choice((1, True, 0.0, False)).values == (1, True, 0.0, False)
    assert Choice((True, False)).middle() is True


def test_real_bounds_are_floats():
    assert repr(Uniform(0, 1)) == "Uniform(low=0.0, high=1.0)"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Uniform(3, 1), r"low < high must hold, got \[3, 1\]; swap"),
        (lambda: Int(2, 2), r"low < high must hold, got \[2, 2\]; for one value write it alone"),
        (lambda: LogUniform(0, 1), r"low > 0 must hold on a logarithmic .*use uniform"),
        (lambda: LogInt(-1, 4), r"low > 0 must hold on a logarithmic .*use int"),
        (lambda: Int(1.0, 2), r"two whole numbers \[low, high\] are required, got \[1.0, 2\]"),
        (lambda: Int(False, True), r"two whole numbers"),
        (lambda: Uniform("a", 1), r"two finite numbers .* got \['a', 1\]"),
        (lambda: Uniform(0, math.inf), r"two finite numbers"),
        (lambda: Uniform(math.nan, 1), r"two finite numbers"),
        (lambda: Uniform(0, 10**400), r"two finite numbers"),
        (lambda: Choice(()), r"at least one value is required"),
        (lambda: Choice((1, 2, 1.0)), r"every value must stand once, got 1.0 twice"),
        (lambda: Choice((True, False, True)), r"every value must stand once, got true twice"),
        (lambda: Choice(([1],)), r"names or finite numbers are required, got \[1\]"),
        (lambda: Constant(None), r"names or finite numbers are required, got nothing"),
    ],
)
def test_a_domain_without_sense_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()
