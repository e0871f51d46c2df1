"""The search space in Optuna's terms."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, distribution_to_json

from rxtune.config import (
    METHODS,
    SAMPLERS,
    Choice,
    Configuration,
    Constant,
    Int,
    LogInt,
    LogUniform,
    Parameter,
    Space,
    Study,
    Uniform,
)
from rxtune.config.canonical import canonical
from rxtune.search import proposals
from rxtune.search.distributions import params_of, to_distribution
from rxtune.search.history import Lesson, build_history
from rxtune.search.lessons import Lessons
from rxtune.search.proposals import Grid, Proposal, as_proposal

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


CHEAP = [name for name in SAMPLERS if name != "gp"]
"""A Gaussian process takes seconds for a space of sixteen parameters."""


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def study_of(*parameters: Parameter, select: Any = None, **search: Any) -> Study:
    space = Space({p.name: p for p in parameters}) if parameters else EVERYTHING
    given = {"space": space, "search": {"startup_trials": 4, **search}}
    return Study.model_validate(given if select is None else {**given, "select": select})


def propose(study: Study, number: int, lessons: list[Lesson]) -> Proposal | None:
    experience = Lessons.of(lessons).experience()
    if study.search.sampler == "grid":
        return Grid(study).next(experience.tried)
    return proposals.propose(study, number, experience)


def lesson(proposal: Proposal, *values: float, kind: str = "finished") -> Lesson:
    return Lesson(
        configuration=proposal.configuration,
        params=proposal.params,
        kind=kind,
        values=values,
        step=2,
        memory=proposal.memory,
    )


def proposed(trials: int, **search: Any) -> list[Proposal]:
    """Propose trials one after the other, each with a result that depends on its number."""
    study, lessons, found = study_of(**search), list[Lesson](), list[Proposal]()
    for number in range(trials):
        proposal = propose(study, number, lessons)
        assert proposal is not None
        found.append(proposal)
        kind = "stopped" if number % 3 == 2 else "finished"
        lessons.append(lesson(proposal, (number % 7) / 7, kind=kind))
    return found


def chosen(study: Study, value_of: Callable[[Configuration], float], trials: int) -> list[Any]:
    """Propose trials, each told what its configuration is worth."""
    lessons = list[Lesson]()
    for number in range(trials):
        proposal = propose(study, number, lessons)
        assert proposal is not None
        lessons.append(lesson(proposal, value_of(proposal.configuration)))
    return [some.configuration for some in lessons]


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_every_domain_proposes_values_that_lie_in_it(domain: Any) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(8):
        trial = study.ask({"x": to_distribution(domain)})
        assert domain.contains(trial.params["x"])
        assert type(trial.params["x"]) in {type(domain.middle()), float, int}


def test_true_and_false_stay_what_they_are_on_the_way_through_the_journal() -> None:
    distribution = to_distribution(Choice((True, False)))
    assert distribution == CategoricalDistribution((True, False))
    assert json.loads(distribution_to_json(distribution))["attributes"]["choices"] == [True, False]


@pytest.mark.parametrize("sampler", CHEAP)
def test_a_proposal_is_its_active_parameters_and_nothing_else(sampler: str) -> None:
    for proposal in proposed(24, sampler=sampler, grid_points=2):
        params = proposal.params
        assert params_of(EVERYTHING, proposal.configuration) == params
        active = {name for name in EVERYTHING.order if EVERYTHING.is_active(name, params)}
        assert set(params) == active == set(proposal.distributions)
        assert active <= set(proposal.configuration.searched())


@pytest.mark.parametrize("sampler", CHEAP)
def test_a_proposal_is_a_function_of_seed_number_and_lessons(sampler: str) -> None:
    first = proposed(16, sampler=sampler, seed=1, grid_points=2)
    random.seed(5)
    numpy.random.seed(5)
    assert proposed(16, sampler=sampler, seed=1, grid_points=2) == first
    other = proposed(16, sampler=sampler, seed=2, grid_points=2)
    assert [p.configuration for p in other] != [p.configuration for p in first]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_nothing_is_proposed_twice_and_a_finite_space_is_used_up(sampler: str) -> None:
    parameters = [
        Parameter("method", Choice(("standard", "adv"))),
        Parameter("radius", Constant(0.1)),
        Parameter("pgd_steps", Int(1, 2)),
        Parameter("step_size", Choice((1.5, 2.0))),
        Parameter("learning_rate", Choice((0.5, 1.0))),
    ]
    study, lessons = study_of(*parameters, sampler=sampler), list[Lesson]()
    while proposal := propose(study, len(lessons), lessons):
        lessons.append(lesson(proposal, 0.5))
    # Plain fine-tuning, one step (of any size: it ends on the ball), two steps of two sizes.
    assert len(lessons) == 2 * (1 + 1 + 2)
    assert len({canonical(some.configuration) for some in lessons}) == len(lessons)


def test_a_grid_walked_along_proposes_what_a_new_one_does() -> None:
    study = study_of(sampler="grid", grid_points=1)
    grid, tried = Grid(study), set[Configuration]()
    for _ in range(40):
        proposal = grid.next(tried)
        assert proposal == grid.next(tried) == Grid(study).next(tried)
        assert proposal is not None
        tried.add(canonical(proposal.configuration))


def test_an_earlier_searchs_configuration_may_be_run_again() -> None:
    study = study_of(Parameter("method", Choice(("standard",))))
    ran = lesson(as_proposal(study.space, Configuration()), 0.5)
    assert propose(study, 0, [replace(ran, is_own=False)]) is not None
    assert propose(study, 0, [ran]) is None


@pytest.mark.parametrize(("sampler", "trials"), [("tpe", 40), ("gp", 24), ("nsga2", 90)])
def test_a_sampler_that_learns_goes_where_the_values_are_high(sampler: str, trials: int) -> None:
    parameters = [
        Parameter("method", Choice(("standard", "rs_rp"))),
        Parameter("sigma", Uniform(0.0001, 1.0)),
        Parameter("learning_rate", Uniform(0.0001, 1.0)),
    ]
    study = study_of(*parameters, sampler=sampler, startup_trials=8, seed=4)

    def value_of(c: Configuration) -> float:
        return c.sigma - abs(c.learning_rate - 0.3)

    found = [value_of(c) for c in chosen(study, value_of, trials)]
    assert max(found) > 0.9
    assert max(found[10:]) > max(found[:10])


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_region_that_fails_is_left_alone(sampler: str) -> None:
    parameters = [
        Parameter("method", Constant("rs_rp")),
        Parameter("sigma", Uniform(0.0001, 1.0)),
        Parameter("learning_rate", Uniform(0.1, 1.0)),
    ]
    study = study_of(*parameters, sampler=sampler, startup_trials=8)

    def failures(*, are_told: bool) -> int:
        lessons, count = list[Lesson](), 0
        for number in range(24):
            proposal = propose(study, number, lessons)
            assert proposal is not None
            rate = proposal.configuration.learning_rate
            if rate <= 0.6:  # the best values lie just below the rates that diverge
                lessons.append(lesson(proposal, rate))
            elif are_told:
                lessons.append(lesson(proposal, kind="failed"))
            count += rate > 0.6
        return count

    assert 3 * failures(are_told=True) < 2 * failures(are_told=False)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_several_objectives_are_served_by_every_sampler(sampler: str) -> None:
    small = [EVERYTHING.parameters[name] for name in ("sigma", "learning_rate", "samples")]
    parameters = [Parameter("method", Choice(("standard", "rs_rp"))), *small]
    select = {"languages": ["qaa", "qab"], "objective": ["mean", "worst", "compute"]}
    study = study_of(*parameters, sampler=sampler, select=select)
    lessons = list[Lesson]()
    for number in range(16):
        proposal = propose(study, number, lessons)
        assert proposal is not None
        kinds = ("finished", "finished", "stopped", "failed")
        kind = kinds[number % 4]
        values = () if kind == "failed" else (number / 20, 0.5, 100.0 - number)
        lessons.append(lesson(proposal, *values, kind=kind))


def test_running_trials_keep_the_sampler_from_the_same_place() -> None:
    study = study_of(startup_trials=4)
    ended = [lesson(p, 0.1 * n) for n, p in enumerate(proposed(8))]
    first = propose(study, 9, ended)
    assert first is not None
    beside = propose(study, 9, [*ended, lesson(first, kind="running")])
    assert beside is not None
    assert beside.configuration != first.configuration


@given(st.sampled_from(EVERYTHING.start_points()))
@settings(deadline=None)
def test_a_start_point_is_a_proposal_of_its_space(point: Configuration) -> None:
    proposal = as_proposal(EVERYTHING, point)
    assert EVERYTHING.configuration(proposal.params) == point


def test_a_proposal_outside_of_the_space_teaches_the_sampler_nothing() -> None:
    outside = as_proposal(EVERYTHING, Configuration(learning_rate=100.0, batch_size=16))
    assert outside.params == outside.distributions == {}
    assert not build_history(EVERYTHING, [lesson(outside, 0.5)], [False], flat=False).trials


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
