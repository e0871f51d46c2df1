"""The landscape: which parameters have a plot, and where every trial stands in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from matplotlib.figure import Figure

from rxtune.config import Study
from rxtune.report.page import Findings
from rxtune.report.page.landscape import landscape_plots, searched_numbers
from rxtune.report.page.marks import MOST_MARKS


def marks(figure: Figure) -> dict[str, tuple[float, float]]:
    """Return where every trial stands, by the name of its mark."""
    return {
        line.get_gid(): (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for axes in figure.axes
        for line in axes.lines
        if line.get_gid()
    }


def test_every_trial_stands_at_its_parameter_and_score(found: Callable[..., Findings]) -> None:
    findings = found(12, failed=[7])
    plots = {plot.name: plot for plot in landscape_plots(findings)}
    assert [*plots] == [
        "landscape-sigma",
        "landscape-radius",
        "landscape-radius-steps",
        "landscape-learning_rate",
    ]
    for plot in plots.values():
        assert marks(plot.figure).keys() == {f"t{r.number}" for r in findings.records}
    places = marks(plots["landscape-learning_rate"].figure)
    for record in findings.evaluated:
        x, y = places[f"t{record.number}"]
        assert x == record.configuration.learning_rate
        assert y == pytest.approx(100 * (record.value or 0))
    assert places["t7"][1] < min(100 * (r.value or 0) for r in findings.evaluated)


def test_those_that_do_not_read_a_parameter_stand_apart(found: Callable[..., Findings]) -> None:
    findings = found(12)
    sigma = next(p for p in landscape_plots(findings) if p.name == "landscape-sigma")
    aside, axes = sigma.figure.axes
    shown = {line.get_gid() for line in aside.lines if line.get_gid()}
    without = {"standard", "adv"}
    assert shown == {f"t{r.number}" for r in findings.records if r.configuration.method in without}
    assert axes.get_xscale() == "log"
    assert "units of m, the median norm" in sigma.caption


@pytest.mark.parametrize(
    ("space", "names"),
    [
        ("method: {choice: [standard, rs_da]}\n  replace_probability: {uniform: [0.1, 1.0]}",
         ["replace_probability"]),
        ("method: {choice: [standard, adv]}\n  radius: 0.01\n  pgd_steps: {int: [1, 4]}",
         ["pgd_steps"]),
        ("method: {choice: [standard, rs_rp]}\n  sigma: {choice: [0.1, 0.5]}", ["sigma"]),
        ("method: {choice: [standard]}\n  batch_size: {choice: [8, 16]}", ["batch_size"]),
    ],
)  # fmt: skip
def test_every_number_that_is_searched_has_a_plot(
    space: str, names: list[str], load: Callable[..., Study], found: Callable[..., Any]
) -> None:
    findings = found(2, study=load(space=f"space:\n  {space}\nsearch: {{trials: 4}}\n"))
    assert searched_numbers(findings) == names
    assert [plot.name for plot in landscape_plots(findings)] == [f"landscape-{n}" for n in names]


def test_without_a_score_there_is_no_landscape(found: Callable[..., Findings]) -> None:
    assert landscape_plots(found(2, failed=range(2))) == []


def test_too_many_trials_are_drawn_at_once(found: Callable[..., Findings]) -> None:
    few = found(6, {"stopping": "none"})
    records = tuple(replace(few.records[n % 6], number=n) for n in range(MOST_MARKS + 1))
    plot = landscape_plots(replace(few, records=records))[0]
    assert plot.tooltips == {}
    assert sum(len(axes.lines) for axes in plot.figure.axes) < 20
    assert sum(len(line.get_xdata()) for line in plot.figure.axes[0].lines) > MOST_MARKS / 6
