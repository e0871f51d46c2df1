"""Importance of parameters: found where it is, refused where it cannot be told."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from rxtune.report.page import Findings, Point
from rxtune.report.page.importance import importance_of, importance_plot, varied_parameters

RATE = FloatDistribution(0.1, 1.0)
SIGMA = FloatDistribution(0.1, 1.0, log=True)
NORM = CategoricalDistribution(("l2",))
METHOD = CategoricalDistribution(("standard", "rs_rp"))


def point_of(number: int, value: float, **params: object) -> Point:
    kinds = {
        "rate": RATE,
        "sigma": SIGMA,
        "method": METHOD,
        "norm": CategoricalDistribution(("l2",)),
    }
    distributions = {name: kinds[name] for name in params}
    return Point(number=number, value=value, params=params, distributions=distributions)


def drawn(count: int, seed: int = 0) -> list[Point]:
    """Return trials whose score depends on sigma alone, which half of them do not have."""
    draw = random.Random(seed)
    points = []
    for number in range(count):
        rate, sigma = draw.uniform(0.1, 1.0), draw.uniform(0.1, 1.0)
        if number % 2:
            points.append(point_of(number, 0.1 * rate / 10, method="standard", rate=rate))
        else:
            value = 1 - abs(sigma - 0.5)
            points.append(point_of(number, value, method="rs_rp", rate=rate, sigma=sigma))
    return points


@pytest.mark.parametrize("count", [30, 60, 200])
def test_it_finds_a_parameter_that_only_some_methods_have(count: int) -> None:
    shares = importance_of(drawn(count))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["rate"] < max(shares["sigma"], shares["method"])


@pytest.mark.parametrize(
    "points",
    [
        [],
        drawn(9),
        [point_of(n, 0.5, rate=0.1 + n / 100) for n in range(20)],
        [point_of(n, n / 20, norm="l2") for n in range(20)],
    ],
    ids=["none", "too few", "all equal", "nothing varies"],
)
def test_what_cannot_be_told_is_not_told(points: list[Point]) -> None:
    assert importance_of(points) == {}


def test_a_parameter_with_one_value_does_not_vary() -> None:
    assert varied_parameters([point_of(0, 0.5, norm="l2", rate=0.2)]) == ["rate"]


def test_stopped_trials_count_and_the_plot_says_so(found: Callable[..., Findings]) -> None:
    findings = found(14)
    plot = importance_plot(findings)
    assert plot is not None
    assert "over 14 evaluated trials: where the best 5 differ" in plot.caption
    names = {tick.get_text() for tick in plot.figure.axes[0].get_yticklabels()}
    assert names == {"learning rate", "sigma", "radius", "pgd steps", "method"}
