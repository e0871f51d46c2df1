"""Nearest names."""

from __future__ import annotations

import pytest

from rxtune.config import METHODS, did_you_mean, nearest
from rxtune.config.names import short, show


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("rsrp", "rs_rp"),
        ("RS-RP", "rs_rp"),
        ("standrad", "standard"),
        ("smooth-adv", "smooth_adv"),
    ],
)
def test_a_slip_finds_the_name_that_was_meant(typed, meant):
    assert nearest(typed, METHODS) == meant
    assert did_you_mean(typed, METHODS) == f"did you mean '{meant}'?"


def test_without_a_near_name_all_are_listed():
    assert nearest("qqq", METHODS) is None
    assert did_you_mean("qqq", METHODS[:3]) == "valid: standard, rs_rp, adv"


def test_values_are_shown_as_yaml_and_cut():
    assert [show(value) for value in (None, True, 1.5, "a", (1, "b", False))] == [
        "nothing",
        "true",
        "1.5",
        "'a'",
        "[1, 'b', false]",
    ]
    assert len(show("x" * 1000)) == 60


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (3e9, "3e9"),
        (-1.25e12, "-1.25e12"),
        (1234567.5, "1.2345675e6"),
        (1500.0, "1500"),
        (0.25, "0.25"),
    ],
)
def test_a_large_number_is_short_and_loses_nothing(number, text):
    assert short(number) == text
    assert float(text) == number
