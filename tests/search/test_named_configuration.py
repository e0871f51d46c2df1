"""A configuration as it is written on the command line, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from rxtune.config import Choice, Configuration, Constant, Parameter, Space, Study
from rxtune.errors import StudyError
from rxtune.search.named_configuration import read_configuration


def study(units: str = "relative", **more: Any) -> Study:
    parameters = {"method": Choice(("standard", "rs_rp")), "sigma": Constant(0.5), **more}
    if units == "absolute":
        parameters["learning_rate"] = Constant(2e-5)
    space = Space({name: Parameter(name, domain) for name, domain in parameters.items()}, units)
    return Study.model_validate({"space": space, "units": units, "search": {"trials": 2}})


def test_what_is_not_given_has_its_default() -> None:
    found = read_configuration("method=rs_rp, sigma=1, learning_rate=0.5", study())
    assert found == Configuration(method="rs_rp", sigma=1.0, learning_rate=0.5)
    assert isinstance(found.sigma, float)


def test_names_flags_and_whole_numbers_are_read_as_such() -> None:
    text = "method=adv,radius=0.01,pgd_steps=2,norm=linf,random_start=true,learning_rate=1e0"
    assert read_configuration(text, study()) == Configuration(
        method="adv", radius=0.01, pgd_steps=2, norm="linf", random_start=True
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("method=rsrp", "method: must be one of .* did you mean 'rs_rp'"),
        ("sigam=0.5", "sigam: unknown parameter; did you mean 'sigma'"),
        ("lr=1", "lr: unknown parameter; did you mean 'learning_rate'"),
        ("method=rs_rp,sigma=-1", "sigma: must be more than 0, got -1"),
        ("method=rs_rp,sigma=big", "sigma: a number is required, got 'big'"),
        ("method=adv,radius=0.1,pgd_steps=1.5", "pgd_steps: a whole number is required"),
        ("method=rs_rp,sigma=0.5,sigma=1", "sigma: must be given once, got 0.5 and 1"),
        ("method", "must be name=value with commas between, got 'method'"),
        ("", "must be name=value with commas between, got ''"),
        ("learning_rate=0.00002", "learning_rate: is a factor on the default rate"),
        ("sigma=0.5", "sigma: standard does not read it; .* that does: r3f, rs_rp, smooth_adv"),
        ("method=rs_rp", "sigma: rs_rp needs it; add a value"),
        (
            "method=adv,radius=0.1,pgd_steps=1,norm=linf,ball=token",
            "ball: adv does not read it; leave it out, or set norm=l2",
        ),
        (
            "method=rs_da,replace_probability=0.5",
            "method: rs_da must be in the space of this search",
        ),
        (
            "method=rs_rp,sigma=1,site=context",
            "site: context must be in the space of this search",
        ),
    ],
)
def test_a_wrong_text_is_refused_with_the_rule(text: str, why: str) -> None:
    with pytest.raises(StudyError, match=f"--configuration '{text}': {why}"):
        read_configuration(text, study())


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(StudyError) as refusal:
        read_configuration("method=rsrp,sigma=0,else=1", study())
    assert len(str(refusal.value).splitlines()) == 3


def test_what_the_search_prepared_may_be_named() -> None:
    prepared = study(site=Choice(("word", "context")))
    found = read_configuration("method=rs_rp,sigma=1,site=context", prepared)
    assert found.site == "context"


def test_absolute_units_are_those_of_the_study() -> None:
    assert read_configuration("learning_rate=0.00002", study("absolute")).learning_rate == 2e-5
    with pytest.raises(StudyError, match="is the rate itself, got at least 1"):
        read_configuration("learning_rate=1", study("absolute"))
    with pytest.raises(StudyError, match="learning_rate: is required with `units: absolute`"):
        read_configuration("method=standard", study("absolute"))
