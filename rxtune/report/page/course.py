"""How a search went: the best score against cost, and which trials went on past every rung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from rxtune.config.stopping import Asha, Median
from rxtune.report.page.findings import Findings
from rxtune.report.page.marks import (
    Mark,
    draw_marks,
    method_legend,
    point,
    state_legend,
    too_many,
    tooltips,
)
from rxtune.report.page.plot import Plot
from rxtune.report.page.style import (
    BLUE,
    GREY,
    INK,
    METHOD_LOOKS,
    MUTED,
    ORANGE,
    PAPER,
    VERMILION,
    legend_below,
    new_figure,
)
from rxtune.report.page.words import count, score_axis
from rxtune.results import Failure, TrialRecord, TrialState


def history_plot(findings: Findings) -> Plot | None:
    """Return the dev score of every trial, and the best so far, against the cost until its end."""
    records = _by_end(findings.evaluated)
    if not records:
        return None
    unit = findings.plain_cost
    divisor = unit or 1e6
    costs = [c / divisor for c in accumulate(r.forward_equivalents for r in records)]
    figure = new_figure(8.2, 3.6)
    axes = figure.subplots()
    points = [
        point(record, cost, 100 * (record.value or 0.0))
        for record, cost in zip(records, costs, strict=True)
    ]
    draw_marks(axes, points, as_picture=too_many(records))
    _draw_best(axes, records, costs)
    marks: list[Artist] = [Line2D([], [], color=INK, label="best so far, of those that ended")]
    marks += _draw_default(axes, findings)
    axes.set_xlim(0, costs[-1] * 1.03)
    axes.set_xlabel(
        "training cost so far, full plain trials" if unit else "training cost so far, 10⁶ passes"
    )
    axes.set_ylabel(score_axis(findings.summary))
    legend_below(figure, [*state_legend(records), *marks])
    return Plot(
        name="history",
        title="What the search had found after how much training",
        caption=_history_caption(findings, unit),
        figure=figure,
        tooltips=tooltips(records),
    )


def _by_end(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    return sorted(records, key=lambda r: (r.ended is None, r.ended, r.number))


def _draw_best(axes: Axes, records: Sequence[TrialRecord], costs: Sequence[float]) -> None:
    steps: list[tuple[float, float]] = []
    for record, cost in zip(records, costs, strict=True):
        value = 100 * (record.value or 0.0)
        if record.state is TrialState.FINISHED and (not steps or value > steps[-1][1]):
            steps.append((cost, value))
    if steps:
        steps.append((costs[-1], steps[-1][1]))
        xs, ys = zip(*steps, strict=True)
        axes.step(xs, ys, where="post", color=INK, linewidth=1.6, zorder=2)


def _draw_default(axes: Axes, findings: Findings) -> list[Artist]:
    default = findings.summary.default_plain
    if default is None or default.value is None:
        return []
    look: dict[str, Any] = {"color": MUTED, "linestyle": (0, (1, 1.6)), "linewidth": 1.4}
    axes.axhline(100 * default.value, zorder=1, **look)
    return [Line2D([], [], label=f"default plain (trial {default.number})", **look)]


def _history_caption(findings: Findings, unit: float | None) -> str:
    counted = "Cost is counted in forward passes of one example (a plain training step is 3)"
    if unit:
        counted += f"; a full trial of plain fine-tuning is {unit:,.0f} of them, the unit here"
    return (
        "A point is a trial at the cost that all trials had by its end, in the order of their"
        f" ends. {counted}. Evaluations are not counted."
    )


def survival_plot(findings: Findings) -> Plot | None:
    """Return the learning curves, and how many trials went on past every evaluation."""
    records = [record for record in findings.shown if record.evaluations]
    if not records:
        return None
    figure = new_figure(8.2, 3.9)
    curves, bars = figure.subplots(1, 2, width_ratios=(3, 2))
    last = max(findings.study.stopping.evaluations, *(len(r.evaluations) for r in records))
    draw_marks(curves, [_curve(r) for r in records], as_picture=too_many(records))
    draw_marks(curves, [_end(r) for r in records], as_picture=too_many(records), part="-end")
    for rung in _rungs(findings):
        curves.axvline(rung, color=INK, linestyle=(0, (1, 2)), linewidth=1.4, zorder=1)
    curves.set_xlabel("evaluation")
    curves.set_ylabel(score_axis(findings.summary))
    curves.set_xlim(0.7, last + 0.3)
    curves.xaxis.set_major_locator(MaxNLocator(integer=True))
    _draw_fates(bars, records, last)
    legend_below(figure, [*method_legend(records, markersize=5), *_fate_marks(records)], columns=4)
    return Plot(
        name="survival",
        title="Which trials went on, and when the others were stopped",
        caption=_survival_caption(findings),
        figure=figure,
        tooltips=tooltips(records),
    )


def _rungs(findings: Findings) -> Sequence[int]:
    rule = findings.study.stopping.rule
    if isinstance(rule, Asha):
        return rule.rungs
    return range(rule.first_rung, rule.evaluations) if isinstance(rule, Median) else ()


def _curve(record: TrialRecord) -> Mark:
    colour, _ = METHOD_LOOKS[record.configuration.method]
    is_whole = record.state is TrialState.FINISHED
    return Mark(
        record=record,
        x=[evaluation.number for evaluation in record.evaluations],
        y=[100 * evaluation.value for evaluation in record.evaluations],
        look={
            "color": colour,
            "linewidth": 1.8 if is_whole else 1.0,
            "alpha": 1.0 if is_whole else 0.7,
            "zorder": 3 if is_whole else 2,
        },
    )


def _end(record: TrialRecord) -> Mark:
    last = record.evaluations[-1]
    mark = point(record, last.number, 100 * last.value)
    return replace(mark, look=mark.look | {"markersize": 5.5, "zorder": 4})


_FATES = {
    "went on or ran to the end": (BLUE, ""),
    "running or cut off": (GREY, ".."),
    "stopped early": (ORANGE, "//"),
    "failed": (VERMILION, "xx"),
}
"""Colour and hatching, from the bottom of a bar."""


def _fate(record: TrialRecord, evaluation: int) -> str:
    """Return what became of a trial at an evaluation that it has reached."""
    if record.evaluations[-1].number > evaluation or record.state is TrialState.FINISHED:
        return "went on or ran to the end"
    if record.state is TrialState.RUNNING or record.failure is Failure.INTERRUPTED:
        return "running or cut off"
    return "stopped early" if record.state is TrialState.STOPPED else "failed"


def _draw_fates(axes: Axes, records: Sequence[TrialRecord], last: int) -> None:
    numbers = range(1, last + 1)
    bottoms = [0] * last
    for fate, (colour, hatch) in _FATES.items():
        heights = [
            sum(r.evaluations[-1].number >= n and _fate(r, n) == fate for r in records)
            for n in numbers
        ]
        axes.bar(
            numbers, heights, 0.72, bottoms, color=colour, hatch=hatch, edgecolor=PAPER,
            linewidth=0.8,
        )  # fmt: skip
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    for number, total in zip(numbers, bottoms, strict=True):
        axes.annotate(
            str(total), (number, total), xytext=(0, 3), textcoords="offset points", ha="center"
        )
    axes.set_xlabel("evaluation")
    axes.set_ylabel("trials that reached it")
    axes.set_ylim(0, max(bottoms) * 1.12)
    axes.grid(visible=False, axis="x")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))


def _fate_marks(records: Sequence[TrialRecord]) -> list[Artist]:
    found = {_fate(record, record.evaluations[-1].number) for record in records}
    found.add("went on or ran to the end")
    return [
        Patch(facecolor=colour, hatch=hatch, edgecolor=PAPER, label=fate)
        for fate, (colour, hatch) in _FATES.items()
        if fate in found
    ]


def _survival_caption(findings: Findings) -> str:
    stopping, summary = findings.study.stopping, findings.summary
    stopped = summary.by_state[TrialState.STOPPED]
    rule = stopping.name.upper() if stopping.name == "asha" else stopping.name
    if stopping.rule is None:
        return "Every trial was to run to its end: this search stops none early."
    text = (
        f"Left: learning curves; a hollow end is a trial that did not run to its end, dotted lines"
        f" are where {rule} may stop one. Right: what became of the trials that reached an"
        f" evaluation. {rule} stopped {count(stopped, 'trial')}"
    )
    if summary.saved_share:
        text += f", which saved {100 * summary.saved_share:.0f} % of the training cost"
    return f"{text}. Why each was stopped is in the table of all trials."
