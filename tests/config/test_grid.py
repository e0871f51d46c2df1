"""How large a grid may be, and that its size is never underestimated."""

from __future__ import annotations

import pytest

from rxtune.config import Choice, Int, LogUniform, Parameter, Space
from rxtune.config.grid import MOST_POINTS, grid_size
from rxtune.search.cube import grid
from tests.search.test_proposals import EVERYTHING

PLAIN = [
    Parameter("method", Choice(("standard", "rs_rp"))),
    Parameter("sigma", LogUniform(0.1, 10.0)),
    Parameter("learning_rate", LogUniform(0.25, 4.0)),
]


@pytest.mark.parametrize("points", [1, 2, 3])
def test_the_size_is_that_of_the_grid_where_only_methods_decide(points: int) -> None:
    space = Space({parameter.name: parameter for parameter in PLAIN})
    assert grid_size(space, points) == len(grid(space, points, 0)) == points + points**2


def test_whole_numbers_have_no_more_values_than_there_are() -> None:
    parameters = [
        Parameter("method", Choice(("adv",))),
        Parameter("radius", Choice((0.1, 0.2))),
        Parameter("pgd_steps", Int(1, 3)),
    ]
    space = Space({parameter.name: parameter for parameter in parameters})
    assert grid_size(space, 50) == len(grid(space, 50, 0)) == 2 * 3


def test_the_size_is_never_underestimated() -> None:
    assert len(grid(EVERYTHING, 1, 0)) <= grid_size(EVERYTHING, 1) <= MOST_POINTS


GRID = """\
space:
  method: {choice: [standard, smooth_adv]}
  sigma: {log_uniform: [0.1, 3.0]}
  radius: {log_uniform: [0.003, 0.3]}
  pgd_steps: 2
  step_size: {uniform: [1.0, 3.0]}
  learning_rate: {log_uniform: [0.3, 3.0]}
search:
  sampler: SAMPLER
  grid_points: 20
"""


def test_a_grid_that_is_too_large_is_refused_with_its_size(refusal) -> None:
    assert refusal(GRID.replace("SAMPLER", "grid")) == (
        "a.yaml:10: search.grid_points: the grid has up to 160,020 points and may have 20,000; "
        "take fewer values of a range, fix parameters of the space, or use the sampler qmc"
    )


def test_another_sampler_may_have_any_grid(load) -> None:
    assert load(GRID.replace("SAMPLER", "tpe")).search.grid_points == 20
