"""Parallel coordinates: every evaluated trial as a line through its parameters to its score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from optuna.distributions import BaseDistribution, CategoricalDistribution

from rxtune.report.page.findings import Findings
from rxtune.report.page.importance import varied_parameters
from rxtune.report.page.marks import Look, Mark, draw_marks, method_legend, too_many, tooltips
from rxtune.report.page.plot import Plot
from rxtune.report.page.style import INK, METHOD_LOOKS, MUTED, PAPER, legend_below, new_figure
from rxtune.report.page.words import score_name
from rxtune.report.tables import parameter_text
from rxtune.results import TrialRecord

_ABSENT = -0.16
"""Height of a value that a trial does not have; those of the domain lie from 0 to 1."""
_DASHES = (0, (4, 2))

Distributions = Mapping[str, BaseDistribution]


def parallel_plot(findings: Findings) -> Plot | None:
    """Return the plot, or None where nothing was evaluated or nothing varies.

    Optuna's own draws the lines of conditional parameters over one another, and low scores in
    white.
    """
    points = sorted(findings.points, key=lambda point: point.value)  # the best on top
    known = {n: d for point in points for n, d in point.distributions.items()}
    varied = varied_parameters(points)
    distributions = {name: known[name] for name in findings.study.space.order if name in varied}
    if not distributions:
        return None
    records = {record.number: record for record in findings.records}
    figure = new_figure(8.2, 4.2)
    axes = figure.subplots()
    _draw_columns(axes, distributions, points[0].value, points[-1].value)
    shown = [records[point.number] for point in points]
    lines = []
    for record, point in zip(shown, points, strict=True):
        heights = [_height(point.params.get(name), d) for name, d in distributions.items()]
        heights.append(_share(point.value, points[0].value, points[-1].value))
        look = _look(record, findings, len(shown))
        lines.append(Mark(record=record, x=range(len(heights)), y=heights, look=look))
    draw_marks(axes, lines, as_picture=too_many(shown))
    legend_below(figure, _legend(shown), columns=6)
    return Plot(
        name="parallel-coordinates",
        title="Every evaluated trial as a line through its parameters",
        caption=f"The last column is the {score_name(findings.summary)}. Solid lines ran to their"
        " end, dashed ones were stopped early, the thick one is the winner. A line at the bottom,"
        " “not read”, belongs to a method that has no such parameter.",
        figure=figure,
        tooltips=tooltips(shown),
    )


def _height(value: Any, distribution: BaseDistribution) -> float:
    if value is None:
        return _ABSENT
    if isinstance(distribution, CategoricalDistribution):
        return _share(distribution.choices.index(value), 0, len(distribution.choices) - 1)
    return _share(*(_scaled(v, distribution) for v in (value, *_ends(distribution))))


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _ends(distribution: Any) -> tuple[float, float]:
    return distribution.low, distribution.high


def _scaled(value: float, distribution: Any) -> float:
    return math.log(value) if distribution.log else float(value)


def _look(record: TrialRecord, findings: Findings, lines: int) -> Look:
    colour, _ = METHOD_LOOKS[record.configuration.method]
    winner = findings.summary.winner
    is_winner = winner is not None and record.number == winner.number
    is_whole = record.zero_shot is not None
    return {
        "color": colour,
        "linewidth": 3.2 if is_winner else 1.5 if is_whole else 1.0,
        "linestyle": "-" if is_whole else _DASHES,
        "alpha": 1.0 if is_winner else (1.0 if is_whole else 0.65) * min(1.0, 100 / lines),
        "zorder": 4 if is_winner else 3 if is_whole else 2,
    }


def _draw_columns(axes: Axes, distributions: Distributions, worst: float, best: float) -> None:
    for column, distribution in enumerate(distributions.values()):
        _draw_column(axes, column, _ticks(distribution))
    scores = {f"{100 * value:.1f}": _share(value, worst, best) for value in (worst, best)}
    _draw_column(axes, len(distributions), scores)
    axes.annotate("not read", (-0.06, _ABSENT), ha="right", va="center", color=MUTED, fontsize=8.5)
    labels = [*(name.replace("_", "\n") for name in distributions), "dev score,\n%"]
    axes.set_xticks(range(len(labels)), labels, fontweight="bold")
    axes.set_xlim(-0.6, len(distributions) + 0.3)
    axes.set_ylim(_ABSENT - 0.06, 1.06)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="x", length=0)


def _draw_column(axes: Axes, column: int, ticks: Mapping[str, float]) -> None:
    axes.plot([column, column], [0, 1], color=MUTED, linewidth=0.9, zorder=1)
    for text, height in ticks.items():
        axes.annotate(
            text, (column, height), xytext=(-5, 0), textcoords="offset points", ha="right",
            va="center", fontsize=8.5, zorder=5, color=INK,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.8},
        )  # fmt: skip


def _ticks(distribution: BaseDistribution) -> dict[str, float]:
    """Return the values that a column names, with their heights."""
    if isinstance(distribution, CategoricalDistribution):
        values: list[Any] = list(distribution.choices)
    else:
        low, high = _ends(distribution)
        middle = math.sqrt(low * high) if getattr(distribution, "log", False) else (low + high) / 2
        is_whole = isinstance(low, int)
        values = [low, high] if is_whole and round(middle) in (low, high) else [low, middle, high]
        values = [round(value) for value in values] if is_whole else values
    return {parameter_text(value): _height(value, distribution) for value in values}


def _legend(records: Sequence[TrialRecord]) -> list[Artist]:
    return [
        *method_legend(records, marker="none"),
        Line2D([], [], color=MUTED, label="ran to the end"),
        Line2D([], [], color=MUTED, linestyle=_DASHES, linewidth=1.0, label="did not"),
    ]
