"""Budgets as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config.budget import Compute, parse_compute, parse_duration, write_duration

PLAIN = "space: {method: standard}\n"
amounts = st.integers(0, 500) | st.decimals(0, 500, places=3)
parts = st.builds("{}{}".format, amounts, st.sampled_from("dhms"))
texts = st.lists(parts, min_size=1, max_size=4).map("".join)


@given(texts)
def test_a_duration_is_written_as_it_is_read(text):
    try:
        seconds = parse_duration(text)
    except ValueError:  # no time at all
        assert not set(text) & set("123456789")
        return
    assert parse_duration(write_duration(seconds)) == seconds


@given(texts | st.floats(1e-9, 1e300) | st.integers(1, 10**30))
def test_an_amount_of_computation_is_written_as_it_is_read(value):
    try:
        amount = parse_compute(value)
    except ValueError:
        return
    assert parse_compute(str(amount)) == amount
    assert parse_compute(amount.to_plain()) == amount


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [
        ("2h", 7200.0, "2h"),
        ("1h30m", 5400.0, "1h30m"),
        ("90s", 90.0, "1m30s"),
        ("1.5d", 129_600.0, "1d12h"),
        (" 1 h 0.25s ", 3600.25, "1h0.25s"),
    ],
)
def test_a_time_has_its_units(text, seconds, written):
    assert parse_duration(text) == seconds
    assert write_duration(seconds) == written


@pytest.mark.parametrize(
    ("value", "amount", "written"),
    [
        ("40h", Compute(40.0, "hours"), "40h"),
        ("90m", Compute(1.5, "hours"), "1.5h"),
        ("50m", Compute(50 / 60, "hours"), "50m"),
        ("3e9", Compute(3e9, "forward_equivalents"), "3e9"),
        (3e9, Compute(3e9, "forward_equivalents"), "3e9"),
        (1_500, Compute(1500.0, "forward_equivalents"), "1500"),
        (1.25e12, Compute(1.25e12, "forward_equivalents"), "1.25e12"),
    ],
)
def test_computation_is_hours_of_a_device_or_forward_passes(value, amount, written):
    assert parse_compute(value) == amount
    assert str(amount) == written


def test_a_resolved_study_has_budgets_as_a_person_writes_them(load):
    study = load(PLAIN + "search: {time_budget: 90m, compute_budget: 3000000000}")
    assert (study.search.time_budget, str(study.search.compute_budget)) == (5400.0, "3e9")
    text = study.to_yaml()
    assert "time_budget: 1h30m\n" in text
    assert "compute_budget: 3e9\n" in text
    assert load(text) == study


def test_budgets_may_come_from_flags(load):
    flags = {"search.time_budget": "2h", "search.compute_budget": "3e9"}
    search = load(PLAIN, flags).search
    assert search.time_budget == 7200.0
    assert search.compute_budget == Compute(3e9, "forward_equivalents")
    assert load(PLAIN).search.compute_budget is load(PLAIN).search.time_budget is None


@pytest.mark.parametrize("value", ["2", "two", "'2 hours'", "1e3h", "-1h", "true", "[2h]", "h"])
def test_a_time_without_a_unit_is_refused(refusal, value):
    message = refusal(PLAIN + f"search: {{time_budget: {value}}}")
    assert message.startswith("a.yaml:2: search.time_budget: a time with its unit is required")
    assert message.endswith("write 2h, 1h30m, 45m or 90s")


@pytest.mark.parametrize("value", ["0s", "0.0000001s", "10001d", f"{'9' * 400}d"])
def test_no_time_and_more_than_anybody_has_are_refused(refusal, value):
    assert "a time above 0, of 10,000 days at most, is" in refusal(
        PLAIN + f"search: {{time_budget: {value}}}"
    )


@pytest.mark.parametrize("value", ["0", "-1", "true", ".nan", ".inf", "3 gpus", "[3]", "{a: 1}"])
def test_what_is_no_amount_of_computation_is_refused(refusal, value):
    message = refusal(PLAIN + f"search: {{compute_budget: {value}}}")
    assert message.startswith("a.yaml:2: search.compute_budget: hours of a device (40h) or a num")


def test_a_fault_of_a_budget_names_the_flag(refusal):
    assert refusal(PLAIN, {"search.time_budget": "soon"}).startswith("--time-budget: a time with")
    flag = {"search.compute_budget": "0h"}
    assert refusal(PLAIN, flag).startswith("--compute-budget: hours of a device (40h) or a num")
    with pytest.raises(ValueError, match="required, got 10000000"):
        parse_compute(10**400)
