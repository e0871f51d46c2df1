"""A search with several objectives: its trials in the plane of the first and each other one."""

from __future__ import annotations

from typing import Any

from matplotlib.lines import Line2D

from rxtune.config.select import Objective
from rxtune.report.page.findings import Findings
from rxtune.report.page.marks import draw_marks, point, state_legend, too_many, tooltips
from rxtune.report.page.plot import Plot
from rxtune.report.page.style import INK, legend_below, new_figure
from rxtune.report.pareto import pareto_front
from rxtune.results import TrialRecord

_NAMES = {
    "mean": "mean dev score, %",
    "worst": "worst dev language, %",
    "source": "source dev score, %",
    "compute": "cost, full plain trials",
}
_RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 13,
    "linestyle": "none",
    "markerfacecolor": "none",
    "markeredgecolor": INK,
    "markeredgewidth": 1.1,
}


def front_plot(findings: Findings) -> Plot | None:
    """Return the trials by their objectives, the front connected; None: there is one objective."""
    objectives = findings.study.select.objective
    records = [r for r in findings.evaluated if len(r.objectives) == len(objectives)]
    if len(objectives) < 2 or not records:
        return None
    front = pareto_front(findings.records, objectives)
    figure = new_figure(8.2, 3.8)
    panels = figure.subplots(1, len(objectives) - 1, squeeze=False, sharey=True)[0]
    for place, axes in enumerate(panels, start=1):
        points = [
            point(record, _shown(record, place, findings), _shown(record, 0, findings))
            for record in records
        ]
        draw_marks(axes, points, as_picture=too_many(records), part=f"-{place}")
        for record in front:
            x, y = (_shown(record, at, findings) for at in (place, 0))
            axes.plot([x], [y], zorder=2, clip_on=False, **_RING)
        axes.set_xlabel(_label(objectives[place], findings))
    panels[0].set_ylabel(_label(objectives[0], findings))
    ring = Line2D([], [], label="on the Pareto front", **_RING)
    legend_below(figure, [*state_legend(records), ring])
    return Plot(
        name="pareto-front",
        title="What each trial reached in every objective",
        caption="Ringed are the trials that ran to their end and that no other one is as good as"
        " in every objective and better in one. The first objective, upwards, names the winner;"
        " cost is to be low, all else high. Hollow ones were stopped early, and cost less for it.",
        figure=figure,
        tooltips=tooltips(records, [f"-{place}" for place in range(1, len(objectives))]),
    )


def _shown(record: TrialRecord, place: int, findings: Findings) -> float:
    value = record.objectives[place]
    if findings.study.select.objective[place] == "compute":
        return value / (findings.plain_cost or 1.0)
    return 100 * value


def _label(objective: Objective, findings: Findings) -> str:
    if objective == "compute" and not findings.plain_cost:
        return "cost, forward passes"
    return _NAMES[objective]
