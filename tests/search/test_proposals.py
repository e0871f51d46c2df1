"""The search space in Optuna's terms."""

from __future__ import annotations

import json
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, distribution_to_json

from rxtune.config import (
    METHODS,
    Choice,
    Configuration,
    Constant,
    Int,
    LogInt,
    LogUniform,
    Parameter,
    SearchSettings,
    Space,
    Uniform,
)
from rxtune.search.proposals import build_sampler, params_of, propose, to_distribution

DOMAINS = [
    Choice(("a", "b")),
    Choice((True, False)),
    Choice((0.5, 2)),
    Constant(True),
    Constant(3),
    Uniform(0.0, 1.0),
    LogUniform(0.1, 1.0),
    Int(1, 3),
    LogInt(1, 64),
]
EVERYTHING = Space(
    {
        parameter.name: parameter
        for parameter in (
            Parameter("method", Choice(METHODS)),
            Parameter("learning_rate", LogUniform(0.3, 3.0)),
            Parameter("sigma", LogUniform(0.1, 3.0)),
            Parameter("samples", Int(1, 3)),
            Parameter("radius", Uniform(0.0, 0.3)),
            Parameter("pgd_steps", Int(1, 3)),
            Parameter("ball", Choice(("token", "sequence"))),
            Parameter("norm", Choice(("l2", "linf"))),
            Parameter("random_start", Choice((True, False))),
            Parameter("clean_weight", Choice((0.0, 0.5)), {"random_start": (True,)}),
            Parameter("consistency_weight", LogUniform(0.1, 10.0)),
            Parameter("site", Choice(("word", "context"))),
            Parameter("replace_probability", Uniform(0.0, 1.0)),
            Parameter("substitution", Choice(("on_the_fly", "static"))),
            Parameter("copies", LogInt(1, 10)),
            Parameter("batch_size", Constant(16)),
        )
    }
)


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def study_of(trials: int, sampler: Any = "random", seed: int = 0) -> list[Any]:
    """Propose trials, and return what each was given beside what Optuna wrote down."""
    search = SearchSettings(sampler=sampler, seed=seed, startup_trials=4)
    study = optuna.create_study()
    proposed = []
    for number in range(trials):
        study.sampler = build_sampler(search, number)
        trial = study.ask()
        proposed.append((propose(trial, EVERYTHING), dict(trial.params)))
        study.tell(trial, number % 7)
    return proposed


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_every_domain_proposes_values_that_lie_in_it(domain: Any) -> None:
    study = optuna.create_study(sampler=build_sampler(SearchSettings(), 0))
    for _ in range(8):
        trial = study.ask({"x": to_distribution(domain)})
        assert domain.contains(trial.params["x"])
        assert type(trial.params["x"]) in {type(domain.middle()), float, int}


def test_true_and_false_stay_what_they_are_on_the_way_through_the_journal() -> None:
    distribution = to_distribution(Choice((True, False)))
    assert distribution == CategoricalDistribution((True, False))
    assert json.loads(distribution_to_json(distribution))["attributes"]["choices"] == [True, False]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_proposal_is_its_active_parameters_and_nothing_else(sampler: str) -> None:
    for configuration, params in study_of(40, sampler):
        assert params_of(EVERYTHING, configuration) == params
        active = {name for name in EVERYTHING.order if EVERYTHING.is_active(name, params)}
        assert set(params) == active
        assert set(params) <= set(configuration.searched())


def test_a_ball_is_proposed_with_l2_alone_and_copies_with_static_alone() -> None:
    proposed = study_of(120)
    robust = [params for _, params in proposed if "norm" in params]
    assert {("ball" in params, params["norm"]) for params in robust} == {
        (True, "l2"),
        (False, "linf"),
    }
    replacing = [params for _, params in proposed if "substitution" in params]
    assert {("copies" in params, params["substitution"]) for params in replacing} == {
        (True, "static"),
        (False, "on_the_fly"),
    }
    assert all(type(c.random_start) is bool for c, _ in proposed)
    assert {p["random_start"] for _, p in proposed if "clean_weight" in p} == {True}


@given(st.sampled_from(EVERYTHING.start_points()))
@settings(deadline=None)
def test_a_start_point_can_be_enqueued_and_comes_back(point: Configuration) -> None:
    study = optuna.create_study(sampler=build_sampler(SearchSettings(), 0))
    study.enqueue_trial(dict(params_of(EVERYTHING, point) or {}))
    assert propose(study.ask(), EVERYTHING) == point


def test_a_configuration_outside_of_the_space_has_no_params() -> None:
    assert params_of(EVERYTHING, Configuration(learning_rate=100.0, batch_size=16)) is None
    assert params_of(EVERYTHING, Configuration(batch_size=16, sigma=1.0)) is None
    # 1 is not true: Optuna would write down what the space does not have.
    one = Configuration(
        method="adv",
        radius=0.1,
        pgd_steps=1,
        batch_size=16,
        random_start=1,  # type: ignore[arg-type]
    )
    assert params_of(EVERYTHING, one) is None
