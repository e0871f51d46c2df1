"""Where good trials lie: every parameter against the dev score, and radius against steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from rxtune.config.domains import Choice, Constant, Domain, ends
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
    INK,
    METHOD_LOOKS,
    MUTED,
    SEQUENTIAL,
    legend_below,
    new_figure,
)
from rxtune.report.page.words import UNIT_M, axis_label, score_axis, score_name
from rxtune.results import TrialRecord

_FIRST = ("sigma", "radius", "learning_rate")
"""Parameters that are shown before all others."""
_STRIP = (1, 9)
"""Widths: the trials that do not read the parameter, and those that do."""


def landscape_plots(findings: Findings) -> list[Plot]:
    """Return a plot per numeric parameter that is searched, and one of radius and steps."""
    if not findings.evaluated:
        return []
    names = searched_numbers(findings)
    plots = [_parameter_plot(name, findings) for name in names]
    if "radius" in names and "pgd_steps" in names:
        plots = [plot for plot in plots if plot.name != "landscape-pgd_steps"]
        plots.insert(names.index("radius") + 1, _radius_and_steps_plot(findings))
    return plots


def searched_numbers(findings: Findings) -> list[str]:
    """Return the parameters of the space that vary and are numbers, the best known first."""
    parameters = findings.study.space.parameters
    names = [name for name, parameter in parameters.items() if _is_range(parameter.domain)]
    return sorted(names, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))


def _is_range(domain: Domain) -> bool:
    if isinstance(domain, Constant):
        return False
    if not isinstance(domain, Choice):
        return True
    numbers = [v for v in domain.values if not isinstance(v, str | bool)]
    return len(numbers) == len(domain.values) > 1


def _parameter_plot(name: str, findings: Findings) -> Plot:
    records = findings.shown
    figure = new_figure(8.2, 3.6)
    aside, axes = _two_axes(figure, any(not _reads(r, name) for r in records))
    heights = _heights(findings)
    reading = [
        point(record, float(getattr(record.configuration, name)), heights[record.number])
        for record in records
        if _reads(record, name)
    ]
    others = [
        point(record, _scattered(place, 1.4), heights[record.number])
        for place, record in enumerate(records)
        if not _reads(record, name)
    ]
    draw_marks(axes, reading, as_picture=too_many(records))
    draw_marks(aside or axes, others, as_picture=too_many(records))
    _scale(axes, findings.study.space.parameters[name].domain)
    axes.set_xlabel(axis_label(name, findings.study.units))
    (aside or axes).set_ylabel(score_axis(findings.summary))
    reference = _reference_lines([aside, axes] if aside else [axes], findings)
    legend_below(figure, [*state_legend(records), *reference])
    return Plot(
        name=f"landscape-{name}",
        title=f"Dev score against {name.replace('_', ' ')}, every trial",
        caption=_parameter_caption(name, findings, aside is not None),
        figure=figure,
        tooltips=tooltips(records),
    )


def _heights(findings: Findings) -> dict[int, float]:
    """Return the score of every trial in percent; those without one stand below all others."""
    values = [100 * (record.value or 0.0) for record in findings.evaluated]
    lowest = min(values) - max(0.08 * (max(values) - min(values)), 1.0)
    return {
        record.number: 100 * (record.value or 0.0) if _has_score(record) else lowest
        for record in findings.shown
    }


def _two_axes(
    figure: Figure, has_strip: bool, *, shares_height: bool = True
) -> tuple[Axes | None, Axes]:
    """Return axes for trials that do not read the parameter, if any, and for those that do."""
    if not has_strip:
        return None, figure.subplots()
    aside, axes = figure.subplots(1, 2, sharey=shares_height, width_ratios=_STRIP)
    aside.set_xlim(-1, 1)
    aside.set_xticks([0], ["not read"])
    aside.grid(visible=False, axis="x")
    if shares_height:
        axes.tick_params(axis="y", length=0)
    else:
        aside.set_ylim(-1, 1)
        aside.set_yticks([])
    return aside, axes


def _reads(record: TrialRecord, name: str) -> bool:
    return name in record.configuration.searched()


def _has_score(record: TrialRecord) -> bool:
    return record.value is not None and record.value == record.value


def _scale(axes: Axes, domain: Domain) -> None:
    low, high = ends(domain)
    if getattr(domain, "is_log", False):
        axes.set_xscale("log")
        axes.set_xlim(low / (high / low) ** 0.04, high * (high / low) ** 0.04)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        return
    axes.set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))
    if getattr(domain, "is_int", False):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _reference_lines(axes: Sequence[Axes], findings: Findings) -> list[Artist]:
    """Draw the best plain trial's score, which robust ones have to beat; return its legend."""
    best = findings.summary.best_plain
    if best is None or best.value is None:
        return []
    for each in axes:
        each.axhline(100 * best.value, color=MUTED, linestyle=(0, (5, 3)), linewidth=1.1, zorder=1)
    label = f"best plain (trial {best.number})"
    return [Line2D([], [], color=MUTED, linestyle=(0, (5, 3)), linewidth=1.1, label=label)]


def _parameter_caption(name: str, findings: Findings, has_strip: bool) -> str:
    is_sized = findings.study.units == "relative" and name in ("sigma", "radius")
    parts = [
        f"A point is a trial, at its last {score_name(findings.summary)}; hollow ones were stopped"
        " early, so their score is of an unfinished training.",
        "Trials whose method does not read the parameter stand at the left." if has_strip else "",
        f"Sizes are in units of {UNIT_M}." if is_sized else "",
        "At the bottom stands what failed or runs without a score yet."
        if not all(map(_has_score, findings.shown))
        else "",
        guess_text(findings),
    ]
    return " ".join(part for part in parts if part)


def guess_text(findings: Findings) -> str:
    """Return what a guess would score, where the labels are known."""
    task = findings.data.task
    if task is None or findings.summary.metric != "accuracy":
        return ""
    return f"Guessing among the {len(task.labels)} labels gives {100 / len(task.labels):.0f} %."


def _radius_and_steps_plot(findings: Findings) -> Plot:
    figure = new_figure(8.2, 3.4)
    others = [record for record in findings.shown if not _reads(record, "radius")]
    aside, axes = _two_axes(figure, bool(others), shares_height=False)
    scores = [100 * (record.value or 0.0) for record in findings.evaluated]
    colours = ScalarMappable(Normalize(min(scores), max(scores)), SEQUENTIAL)
    reading = [record for record in findings.shown if _reads(record, "radius")]
    placed = [
        _coloured(
            record,
            (record.configuration.radius, record.configuration.pgd_steps + _scattered(place, 0.5)),
            colours,
        )
        for place, record in enumerate(reading)
    ]
    unplaced = [
        _coloured(record, _scattered_in_plane(place), colours)
        for place, record in enumerate(others)
    ]
    draw_marks(axes, placed, as_picture=too_many(findings.shown))
    draw_marks(aside or axes, unplaced, as_picture=too_many(findings.shown))
    _scale(axes, findings.study.space.parameters["radius"].domain)
    axes.set_xlabel(axis_label("radius", findings.study.units))
    steps = _steps(findings)
    axes.set_yticks(steps)
    axes.set_ylim(min(steps) - 0.5, max(steps) + 0.5)
    axes.set_ylabel("PGD steps")
    figure.colorbar(colours, ax=figure.axes, label=score_axis(findings.summary), pad=0.02)
    outlines = {"linestyle": "none", "markerfacecolor": "none", "color": INK, "markersize": 7}
    legend_below(figure, method_legend(findings.shown, **outlines))
    return Plot(
        name="landscape-radius-steps",
        title="Dev score against radius and PGD steps, every trial",
        caption=f"Colour is the last {score_name(findings.summary)}: light is good. Large marks"
        " ran to their end, small ones did not, and crosses have no score. Trials of equal steps"
        " are spread a little, so that none hides another; those that have neither radius nor"
        " steps stand at the left, in no order.",
        figure=figure,
        tooltips=tooltips(findings.shown),
    )


def _scattered(place: int, width: float) -> float:
    """Return a number around 0, far from those of the places before: so marks do not hide."""
    golden = (math.sqrt(5) - 1) / 2
    return width * ((place + 0.5) * golden % 1 - 0.5)


def _scattered_in_plane(place: int) -> tuple[float, float]:
    """Return a point around (0, 0), far from those of the places before (the R2 sequence)."""
    shares = ((place + 0.5) * factor % 1 for factor in (0.7548776662, 0.5698402910))
    x, y = (1.7 * (share - 0.5) for share in shares)
    return x, y


def _steps(findings: Findings) -> list[int]:
    """Return the numbers of PGD steps that trials can have."""
    domain = findings.study.space.parameters["pgd_steps"].domain
    low, high = ends(domain)
    possible = domain.values if isinstance(domain, Choice) else range(int(low), int(high) + 1)
    read = {r.configuration.pgd_steps for r in findings.shown if _reads(r, "pgd_steps")}
    return sorted({int(step) for step in possible} | read)


def _coloured(record: TrialRecord, place: tuple[float, float], colours: ScalarMappable) -> Mark:
    """Return a trial as a point whose colour is its score; a cross has none."""
    (x, y), (_, marker) = place, METHOD_LOOKS[record.configuration.method]
    look = {"linestyle": "none", "zorder": 3}
    if not _has_score(record):
        look |= {"marker": "x", "color": MUTED}
        return Mark(record=record, x=[x], y=[y], look=look)
    # To whole points: so that few looks differ, and many trials can be drawn at once.
    colour = to_hex(colours.to_rgba(np.array([round(100 * (record.value or 0.0))]))[0])
    size = 9.5 if record.zero_shot is not None else 6
    look |= {"marker": marker, "markersize": size, "color": colour, "markeredgecolor": INK}
    return Mark(record=record, x=[x], y=[y], look=look | {"markeredgewidth": 0.7})
