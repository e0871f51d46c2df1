"""One point of the space: what it reads, and its way through JSON."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from rxtune.config import METHODS, READ_BY, Configuration
from rxtune.config.configuration import READ_WITH
from rxtune.config.parameter import RULES
from rxtune.errors import StudyError

NEUTRAL_ONLY = {"sigma", "radius", "pgd_steps", "replace_probability", "epochs", "batch_size"}
"""Parameters whose neutral value cannot be asked for."""


def test_every_parameter_has_a_rule_and_every_rule_a_parameter():
    names = [item.name for item in fields(Configuration)]
    assert sorted(RULES) == sorted(names)
    assert set(READ_BY) < set(names)
    for name in set(RULES) - NEUTRAL_ONLY:
        assert RULES[name].breaks(getattr(Configuration(), name)) is None, name


@pytest.mark.parametrize("method", METHODS)
def test_a_configuration_survives_json(method):
    configuration = Configuration(method=method, random_start=True, sigma=0.3, samples=2)
    assert (
        Configuration.from_json(json.loads(json.dumps(configuration.to_json()))) == configuration
    )


def test_what_an_older_record_does_not_have_is_neutral():
    assert Configuration.from_json({"method": "rs_rp", "sigma": 0.5}) == Configuration(
        method="rs_rp", sigma=0.5
    )


def test_a_parameter_of_another_version_is_refused_by_name():
    with pytest.raises(StudyError, match=r"unknown parameter 'cleanweight'; did you mean 'clean_"):
        Configuration.from_json({"method": "rs_rp", "cleanweight": 0.5})


@pytest.mark.parametrize("name", READ_WITH)
def test_a_parameter_that_says_nothing_is_not_searched(name):
    other, value = READ_WITH[name]
    for method in READ_BY[name]:
        assert name in replace(Configuration(method=method), **{other: value}).searched()
    assert "ball" not in Configuration(method="adv", norm="linf").searched()
    assert "copies" not in Configuration(method="rs_da").searched()


def test_plain_fine_tuning_reads_the_learning_rate_alone():
    assert Configuration().searched() == {"method": "standard", "learning_rate": 1.0}


def test_the_embedding_methods_share_their_sites_and_the_word_methods_have_none():
    for method in METHODS:
        reads = Configuration(method=method).searched()
        assert ("site" in reads) == (method in {"rs_rp", "adv", "smooth_adv", "freelb", "r3f"})
        assert ("replace_probability" in reads) == (method in {"rs_da", "code_switch"})
