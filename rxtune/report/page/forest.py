"""Estimates with their intervals, a row each: differences on fresh seeds, and signals audited."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from rxtune.report.audit import Audit, row_name
from rxtune.report.confirmation import Confirmation
from rxtune.report.page.plot import Plot
from rxtune.report.page.style import BLUE, MUTED, PAPER, new_figure
from rxtune.report.tables import points
from rxtune.report.verdict import interval, p_digits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    label: str
    mean: float
    low: float
    high: float
    text: str
    is_main: bool


def gain_plot(confirmation: Confirmation) -> Plot | None:
    """Return the gains over the best plain configuration, or None where none can be told."""
    rows = [
        _Row(
            label=f"{contrast.candidate.label}\n− {contrast.plain.label}",
            mean=100 * gain.mean,
            low=100 * gain.low,
            high=100 * gain.high,
            text=f"{points(gain.mean)} ({interval(gain)})"
            + ("" if contrast.p is None else f"\np (Holm) {p_digits(contrast.p)}"),
            is_main=contrast.is_tested,
        )
        for contrast in confirmation.contrasts
        if (gain := contrast.gain) is not None
    ]
    if not rows:
        return None
    has_items = all(c.gain.items is not None for c in confirmation.contrasts if c.gain)
    return Plot(
        name="confirmed-gain",
        title="Gain in the held-out mean over the best plain fine-tuning, on fresh seeds",
        caption="Test split. Bars: 95 % intervals over "
        + ("seeds and test items (hierarchical bootstrap)." if has_items else "seeds.")
        + " Left of zero the configuration is worse than plain fine-tuning."
        + ("" if all(row.is_main for row in rows) else " Hollow: for orientation, not tested."),
        figure=_draw(rows, "difference, points", None),
    )


def audit_plot(audit: Audit) -> Plot | None:
    """Return the rank correlation of every signal with the held-out mean, or None without any."""
    rows = [
        _Row(
            label=row_name(signal),
            mean=signal.correlation,
            low=signal.low,
            high=signal.high,
            text=f"{signal.correlation:.2f}".replace("-", "−"),
            is_main=signal.has_chosen,
        )
        for signal in audit.signals
        if not math.isnan(signal.correlation)
    ]
    if not rows:
        return None
    return Plot(
        name="audit",
        title="How well each signal ranks the trials by what held-out languages say",
        caption="Spearman's rank correlation with its 95 % interval; 1 would be the same order, 0"
        " chance. Filled, and marked *: what the search went by.",
        figure=_draw(rows, "rank correlation with the held-out mean", (-1.05, 1.05)),
    )


def _draw(rows: Sequence[_Row], label: str, limits: tuple[float, float] | None) -> Figure:
    lines = max(row.label.count("\n") for row in rows) + 1
    figure = new_figure(8.2, 1.0 + (0.14 + 0.19 * lines) * len(rows))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        axes.plot([row.low, row.high], [place, place], color=BLUE, linewidth=1.6, zorder=2)
        axes.plot(
            [row.mean], [place], marker="o", markersize=7, color=BLUE, zorder=3,
            markerfacecolor=BLUE if row.is_main else PAPER, markeredgewidth=1.4,
        )  # fmt: skip
        axes.annotate(
            row.text, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=9
        )
    axes.axvline(0, color=MUTED, linewidth=1.0, zorder=1)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(label)
    if limits:
        axes.set_xlim(*limits)
        axes.xaxis.set_major_locator(MultipleLocator(0.5))
    return figure
