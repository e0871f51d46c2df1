"""Points of a space without a model."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config import Choice, Int, LogInt, LogUniform, Parameter, Space, Uniform
from rxtune.config.canonical import canonical
from rxtune.search.cube import at, everything, grid, sobol_point
from rxtune.search.distributions import params_of
from tests.search.test_proposals import DOMAINS, EVERYTHING

BOTH = Parameter("method", Choice(("standard", "rs_rp")))
RATE = Parameter("learning_rate", LogUniform(0.25, 4.0))
SIGMA = Parameter("sigma", LogUniform(0.1, 10.0))


def space(*parameters: Parameter) -> Space:
    return Space({p.name: p for p in parameters})


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
@given(share=st.floats(0, 1, exclude_max=True))
def test_every_share_of_a_domain_is_a_value_of_it(domain: Any, share: float) -> None:
    assert domain.contains(at(domain, share))


def test_all_whole_numbers_of_a_range_have_the_same_share() -> None:
    found = [at(Int(1, 3), (share + 0.5) / 300) for share in range(300)]
    assert [found.count(number) for number in (1, 2, 3)] == [100, 100, 100]
    assert [at(LogInt(1, 8), share) for share in (0.0, 0.999)] == [1, 8]
    assert at(Uniform(2.0, 4.0), 0.5) == 3.0
    assert at(LogUniform(1.0, 100.0), 0.5) == pytest.approx(10.0)


def test_the_sequence_fills_the_space_more_evenly_than_chance_would() -> None:
    points = [sobol_point(space(BOTH, SIGMA, RATE), 3, number) for number in range(64)]
    rates = sorted(point.learning_rate for point in points)
    edges = [0.25 * 2 ** (eighth / 2) for eighth in range(9)]
    for low, high in pairwise(edges):
        assert sum(low <= rate < high for rate in rates) == 8  # a net: one in each cell of 64
    assert sum(point.method == "rs_rp" for point in points) == 32


def test_a_point_of_the_sequence_is_a_function_of_seed_and_number() -> None:
    first = [sobol_point(EVERYTHING, 1, number) for number in range(20)]
    assert first == [sobol_point(EVERYTHING, 1, number) for number in range(20)]
    assert first != [sobol_point(EVERYTHING, 2, number) for number in range(20)]
    assert len({canonical(point) for point in first}) == 20
    assert all(params_of(EVERYTHING, point) is not None for point in first)


def test_a_grid_has_the_ends_of_ranges_all_choices_and_no_parameter_that_is_not_read() -> None:
    points = grid(space(BOTH, SIGMA, RATE), 3, seed=0)
    plain = {(p.method, p.sigma, p.learning_rate) for p in points if p.method == "standard"}
    assert plain == {("standard", 0.0, rate) for rate in (0.25, 1.0, 4.0)}
    noisy = {(round(p.sigma, 9), p.learning_rate) for p in points if p.method == "rs_rp"}
    assert noisy == {(s, r) for s in (0.1, 1.0, 10.0) for r in (0.25, 1.0, 4.0)}
    assert len(points) == 3 + 9


def test_a_grid_of_one_point_takes_the_middle() -> None:
    (plain, noisy) = sorted(grid(space(BOTH, SIGMA, RATE), 1, 0), key=lambda p: p.sigma)
    assert (plain.method, plain.learning_rate) == ("standard", 1.0)
    assert noisy.sigma == pytest.approx(1.0)


def test_the_order_of_a_grid_is_random_and_follows_from_the_seed() -> None:
    some = space(BOTH, SIGMA, RATE)
    assert grid(some, 4, 0) == grid(some, 4, 0) != grid(some, 4, 1)
    assert set(grid(some, 4, 0)) == set(grid(some, 4, 1))


def test_a_finite_space_can_be_written_out_and_a_continuous_one_cannot() -> None:
    choices = Parameter("learning_rate", Choice((0.5, 1.0)))
    adv = [
        Parameter("method", Choice(("standard", "adv"))),
        Parameter("radius", Choice((0.05, 0.1))),
        Parameter("pgd_steps", Int(1, 3)),
    ]
    found = everything(space(*adv, choices), 0)
    assert found is not None
    assert len(found) == 2 * (1 + 2 * 3)
    assert everything(space(BOTH, SIGMA, RATE), 0) is None
    assert everything(space(*adv, choices, Parameter("batch_size", Int(1, 10**7))), 0) is None
