"""Activity, order, configurations and start points of a space."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config import (
    METHODS,
    READ_BY,
    Choice,
    Configuration,
    Constant,
    Int,
    LogInt,
    LogUniform,
    Parameter,
    Space,
    Uniform,
)
from rxtune.errors import StudyError


def space_of(*parameters: Parameter, units="relative") -> Space:
    return Space({parameter.name: parameter for parameter in parameters}, units)


FULL = space_of(
    Parameter("sigma", LogUniform(0.1, 10.0), {"method": ("rs_rp", "smooth_adv", "r3f")}),
    Parameter("clean_weight", Choice((0.5, 0)), {"norm": ("l2",)}),
    Parameter("ball", Choice(("sequence", "token"))),
    Parameter("norm", Choice(("linf", "l2"))),
    Parameter("random_start", Choice((True, False))),
    Parameter("copies", Constant(10)),
    Parameter("replace_probability", Uniform(0, 1)),
    Parameter("substitution", Choice(("on_the_fly", "static"))),
    Parameter("radius", Uniform(0, 0.2)),
    Parameter("pgd_steps", Int(1, 3)),
    Parameter("method", Choice(METHODS)),
    Parameter("learning_rate", LogUniform(2.0, 8.0)),
    Parameter("batch_size", Constant(16)),
)


def test_a_parameter_comes_after_the_method_and_after_those_its_when_names():
    order = FULL.order
    assert sorted(order) == sorted(FULL.parameters)
    assert order[0] in {"method"}
    assert order.index("norm") < order.index("clean_weight")
    assert order.index("norm") < order.index("ball")
    assert order.index("substitution") < order.index("copies")


@pytest.mark.parametrize("method", METHODS)
def test_without_a_when_a_parameter_is_active_where_its_method_reads_it(method):
    for name in ("radius", "pgd_steps", "norm", "random_start", "replace_probability"):
        assert FULL.is_active(name, {"method": method}) == (method in READ_BY[name])
    assert FULL.is_active("learning_rate", {"method": method})
    assert FULL.is_active("method", {})


def test_a_condition_on_an_inactive_parameter_does_not_hold():
    assert FULL.is_active("clean_weight", {"method": "adv", "norm": "l2"})
    assert not FULL.is_active("clean_weight", {"method": "adv", "norm": "linf"})
    assert not FULL.is_active("clean_weight", {"method": "rs_rp", "norm": "l2"})


def test_a_cube_has_no_ball_per_sequence_and_fresh_draws_have_no_copies():
    assert FULL.is_active("ball", {"method": "adv", "norm": "l2"})
    assert not FULL.is_active("ball", {"method": "adv", "norm": "linf"})
    assert FULL.is_active("copies", {"method": "rs_da", "substitution": "static"})
    assert not FULL.is_active("copies", {"method": "rs_da", "substitution": "on_the_fly"})


def test_a_space_without_a_norm_searches_the_balls_of_l2():
    space = space_of(
        Parameter("method", Constant("adv")),
        Parameter("radius", Constant(0.1)),
        Parameter("pgd_steps", Constant(1)),
        Parameter("ball", Constant("sequence")),
    )
    assert space.configuration({}).ball == "sequence"


def test_where_the_norm_may_be_left_out_the_ball_goes_by_its_neutral_value():
    space = space_of(
        Parameter("method", Constant("adv")),
        Parameter("radius", Constant(0.1)),
        Parameter("pgd_steps", Int(1, 2)),
        Parameter("norm", Constant("linf"), {"pgd_steps": (1,)}),
        Parameter("ball", Constant("sequence")),
    )
    assert space.configuration({"pgd_steps": 1}).ball == "token"
    assert space.configuration({"pgd_steps": 2}).ball == "sequence"


@given(st.sampled_from(METHODS), st.sampled_from(["l2", "linf"]), st.booleans())
def test_what_a_configuration_names_as_searched_is_what_the_space_holds_active(
    method, norm, static
):
    chosen = {
        "method": method,
        "norm": norm,
        "substitution": "static" if static else "on_the_fly",
        "ball": "sequence",
        "random_start": True,
        "clean_weight": 0.5,
        "sigma": 1.0,
        "radius": 0.1,
        "pgd_steps": 2,
        "replace_probability": 0.5,
        "learning_rate": 3.0,
    }
    configuration = FULL.configuration(chosen)
    for name, value in configuration.to_json().items():
        if name not in configuration.searched():
            assert value == Configuration().to_json()[name], name
    active = {name for name in FULL.order if FULL.is_active(name, chosen)}
    assert active <= set(configuration.searched())


def test_what_the_method_does_not_read_stays_neutral():
    chosen = {"method": "standard", "sigma": 1.0, "radius": 0.1, "learning_rate": 3}
    configuration = FULL.configuration(chosen)
    assert configuration == Configuration(learning_rate=3.0, batch_size=16)
    assert isinstance(configuration.learning_rate, float)


def test_constants_need_not_be_chosen():
    space = space_of(Parameter("method", Constant("rs_rp")), Parameter("sigma", Constant(1)))
    assert space.is_active("sigma", {})
    assert space.configuration({}) == Configuration(method="rs_rp", sigma=1.0)
    assert space.methods == ("rs_rp",)


def test_the_start_points_are_the_baseline_and_one_typical_trial_per_other_method():
    linf = {"norm": "linf", "radius": 0.1, "pgd_steps": 1, "random_start": True}
    common = {"learning_rate": 2.0, "batch_size": 16}
    noise = {"sigma": pytest.approx(1.0)}
    assert FULL.start_points() == [
        Configuration(**common),
        Configuration(method="rs_rp", **noise, **common),
        Configuration(method="adv", **linf, **common),
        Configuration(method="smooth_adv", **noise, **linf, **common),
        Configuration(method="freelb", **linf, **common),
        Configuration(method="r3f", **noise, **common),
        Configuration(method="rs_da", replace_probability=0.5, **common),
        Configuration(method="code_switch", replace_probability=0.5, **common),
    ]


def test_the_baseline_stands_even_where_the_space_has_no_plain_fine_tuning():
    space = space_of(
        Parameter("method", Choice(("rs_rp",))),
        Parameter("sigma", Constant(1.0)),
        Parameter("learning_rate", LogUniform(0.3, 3.0)),
    )
    assert [point.method for point in space.start_points()] == ["standard", "rs_rp"]
    assert space.start_points()[0].learning_rate == 1.0


def test_an_absolute_learning_rate_starts_in_the_middle_of_its_domain():
    rate = Parameter("learning_rate", LogUniform(1e-5, 1e-3))
    space = space_of(Parameter("method", Constant("standard")), rate, units="absolute")
    assert space.start_points()[0].learning_rate == pytest.approx(1e-4)


@given(st.permutations(list(FULL.parameters)), st.sampled_from(METHODS))
def test_the_order_of_the_file_does_not_change_what_is_active(names, method):
    space = Space({name: FULL.parameters[name] for name in names})
    chosen = {"method": method, "norm": "l2", "substitution": "static"}
    active = {name for name in space.order if space.is_active(name, chosen)}
    assert active == {name for name in FULL.order if FULL.is_active(name, chosen)}
    assert space == FULL


def test_a_space_travels_to_a_worker():
    assert pickle.loads(pickle.dumps(FULL)) == FULL


def test_a_space_made_in_python_is_checked_as_a_file_is():
    with pytest.raises(StudyError, match=r"(?s)space\.method: rs_rp needs sigma.*space\.radius"):
        space_of(Parameter("method", Constant("rs_rp")), Parameter("radius", Constant(0.1)))
    with pytest.raises(StudyError, match=r"space\.x: holds the parameter method"):
        Space({"method": FULL.parameters["method"], "x": FULL.parameters["method"]})


@pytest.mark.parametrize(
    "rates", [Int(1, 3), LogInt(1, 3), Choice((1e-5, 1.0)), Choice((1.0, 1e-5))]
)
def test_rates_of_any_kind_and_order_are_looked_at_whole(rates):
    space = {
        "method": Parameter("method", Constant("standard")),
        "learning_rate": Parameter("learning_rate", rates),
    }
    assert Space(space).parameters["learning_rate"].domain == rates
