"""Which parameters mattered: Optuna's importance over the evaluated trials."""

from __future__ import annotations

from collections.abc import Sequence

import optuna

from rxtune.report.page.findings import Findings, Point
from rxtune.report.page.plot import Plot
from rxtune.report.page.style import BLUE, new_figure

FEWEST = 10
"""Evaluated trials below which an importance says nothing."""
_TOP = 5
"""Best trials that are set against all: what Optuna's documentation asks for at least."""


def importance_of(points: Sequence[Point]) -> dict[str, float]:
    """Return the share of every parameter, the largest first; empty if it cannot be told.

    PED-ANOVA asks in which parameters the best trials differ from all others; its conditional form
    (Optuna 5) takes parameters that only some methods read. Trials that were stopped count with
    the score at which they were: they are not among the best.
    """
    varied = varied_parameters(points)
    if len(points) < FEWEST or len({point.value for point in points}) < 2 or not varied:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(
        target_quantile=min(max(0.1, _TOP / len(points)), 0.5)
    )
    study = _as_study(points)
    return optuna.importance.get_param_importances(study, evaluator=evaluator, params=varied)


def varied_parameters(points: Sequence[Point]) -> list[str]:
    """Return the parameters of the space that have more than one value."""
    distributions = {n: d for point in points for n, d in point.distributions.items()}
    return [name for name, distribution in distributions.items() if not distribution.single()]


def _as_study(points: Sequence[Point]) -> optuna.Study:
    """Return a study in memory that holds the trials with their last scores."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every new study
    try:
        study = optuna.create_study(direction="maximize")
    finally:
        optuna.logging.set_verbosity(verbosity)
    for point in points:
        trial = optuna.create_trial(
            value=point.value,
            params=dict(point.params),
            distributions=dict(point.distributions),
        )
        study.add_trial(trial)
    return study


def importance_plot(findings: Findings) -> Plot | None:
    """Return the importance of the parameters as bars, or None if it cannot be told."""
    shares = importance_of(findings.points)
    if not shares:
        return None
    figure = new_figure(8.2, 0.9 + 0.33 * len(shares))
    axes = figure.subplots()
    rows = range(len(shares))
    axes.barh(rows, [100 * share for share in shares.values()], height=0.62, color=BLUE)
    for row, share in zip(rows, shares.values(), strict=True):
        axes.annotate(
            f"{100 * share:.0f} %", (100 * share, row), xytext=(4, 0),
            textcoords="offset points", va="center",
        )  # fmt: skip
    axes.set_yticks(rows, [name.replace("_", " ") for name in shares])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the importance, %")
    best = max(_TOP, round(0.1 * len(findings.points)))
    return Plot(
        name="importance",
        title="Which parameters tell the best trials from the others",
        caption=f"Optuna's PED-ANOVA over {len(findings.points)} evaluated trials: where the best"
        f" {best} differ from all. It says which parameter mattered within this space, not in"
        " which direction, and with few trials it is rough. Stopped trials count with the score"
        " at which they were stopped.",
        figure=figure,
    )
