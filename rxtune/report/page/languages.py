"""Accuracy by language as dots with intervals, one row per language: dev split, or test split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rxtune.report.confirmation import Confirmation, Confirmed
from rxtune.report.page.confirmed import ConfirmedResults
from rxtune.report.page.findings import Findings
from rxtune.report.page.levels import Level, confirmed_levels, searched_levels
from rxtune.report.page.plot import Plot
from rxtune.report.page.style import GRID, METHOD_LOOKS, PAPER, legend_below, new_figure
from rxtune.report.page.words import metric_name
from rxtune.report.tables import in_order
from rxtune.results import TrialRecord, ZeroShot

MOST_SERIES = 5
"""Configurations of one plot; more could not be told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One configuration in all languages."""

    label: str
    colour: str
    marker: str
    is_hollow: bool
    levels: Mapping[str, Level]


def searched_plot(findings: Findings) -> Plot | None:
    """Return the dev accuracy by language of winner, best plain and default plain trial."""
    series = [_searched_series(name, record, findings) for name, record in _named(findings)]
    result = findings.result
    if result is None or not series:
        return None
    what = metric_name(findings.summary)
    return Plot(
        name="languages-dev",
        title=f"Dev {what} by language: the best robust trial and plain fine-tuning",
        caption=f"Dev split. {_searched_interval(findings)} The language"
        f"{'s' if len(result.dev_languages) > 1 else ''} marked dev chose between the trials, so"
        " the winner's score there is optimistic; held-out languages took no part.",
        figure=_draw(series, result, f"dev {what}, %"),
        tooltips=_tooltips(series, in_order(result)),
    )


def _named(findings: Findings) -> list[tuple[str, TrialRecord]]:
    """Return the trials to compare with what they are called; one trial may be several."""
    summary = findings.summary
    names: dict[int, list[str]] = {}
    records = {}
    for name, record in (
        ("best robust", summary.best_robust),
        ("best plain", summary.best_plain),
        ("default plain", summary.default_plain),
    ):
        if record is not None and record.zero_shot is not None:
            names.setdefault(record.number, []).append(name)
            records[record.number] = record
    return [(" and ".join(names[number]), record) for number, record in records.items()]


def _searched_series(name: str, record: TrialRecord, findings: Findings) -> Series:
    colour, marker = METHOD_LOOKS[record.configuration.method]
    is_winner = findings.summary.winner is not None and (
        record.number == findings.summary.winner.number
    )
    return Series(
        label=f"{name}: trial {record.number} {record.configuration.method}"
        + (" (winner)" if is_winner else ""),
        colour=colour,
        marker=marker,
        is_hollow=name == "default plain",
        levels=searched_levels(record, findings.data.dev_items),
    )


def _searched_interval(findings: Findings) -> str:
    if findings.summary.metric == "macro_f1":
        return "Without intervals: macro-F1 is no proportion, and predictions are not at hand."
    if not findings.data.dev_items:
        return "Without intervals: the number of dev items is not known here."
    sizes = sorted(set(findings.data.dev_items.values()))
    items = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    return (
        f"Bars: 95 % Wilson intervals from {items} items per language; they allow for other items,"
        " not for another seed."
    )


def confirmed_plot(results: ConfirmedResults) -> Plot | None:
    """Return the test accuracy by language of what was confirmed, over fresh seeds."""
    confirmation = results.confirmation
    shown = _to_be_shown(confirmation)
    first = next((r for one in shown for r in one.results.values()), None)
    if first is None:
        return None
    series = [_confirmed_series(one, results) for one in shown]
    what = "macro-F1" if first.metric == "macro_f1" else "accuracy"
    hidden = len(confirmation.configurations) - len(shown)
    return Plot(
        name="languages-test",
        title=f"Test {what} by language, on fresh seeds",
        caption="Test split, mean over seeds that the search did not use."
        f" {_confirmed_interval(results)}"
        + (f" {hidden} more in the tables below." if hidden else ""),
        figure=_draw(series, first, f"test {what}, %"),
        tooltips=_tooltips(series, in_order(first)),
    )


def _to_be_shown(confirmation: Confirmation) -> list[Confirmed]:
    """Return the robust ones in their order and, whatever their number, the plain ones."""
    measured = [one for one in confirmation.configurations if one.results]
    plain = [one for one in measured if {"best plain", "default plain"} & {*one.roles}]
    others = [one for one in measured if one not in plain]
    return [*others[: MOST_SERIES - len(plain)], *plain]


def _confirmed_series(one: Confirmed, results: ConfirmedResults) -> Series:
    same = [
        each
        for each in _to_be_shown(results.confirmation)
        if each.configuration.method == one.configuration.method
    ]
    colour, marker = METHOD_LOOKS[one.configuration.method]
    return Series(
        label=f"{one.label} ({one.configuration.method})",
        colour=colour,
        marker=marker if same[0] is one else _OTHERS[same.index(one) % len(_OTHERS)],
        is_hollow=same[0] is not one,
        levels=confirmed_levels(one, results.answers),
    )


_OTHERS = ("o", "s", "^", "D", "v")
"""Markers of further configurations of one method, hollow."""


def _confirmed_interval(results: ConfirmedResults) -> str:
    measured = [one for one in results.confirmation.configurations if one.results]
    if all(len(one.results) < 2 for one in measured):
        return "Without intervals: they need two seeds."
    keys = [(one.configuration, seed) for one in measured for seed in one.results]
    has_answers = [key in results.answers for key in keys]
    bars = "Bars: 95 % intervals that allow for other seeds"
    if all(has_answers):
        return f"{bars} and other test items (hierarchical bootstrap)."
    if not any(has_answers):
        return f"{bars} alone (t test), since no predictions are there."
    return f"{bars} and, where all predictions of a configuration are there, other test items."


def _draw(series: Sequence[Series], result: ZeroShot, label: str) -> Figure:
    languages = in_order(result)
    height = 1.5 + 0.16 * len(languages) * max(len(series), 2) ** 0.8
    figure = new_figure(8.2, height)
    axes = figure.subplots()
    for place, one in enumerate(series):
        shift = (place - (len(series) - 1) / 2) * 0.7 / max(len(series), 2)
        for row, language in enumerate(languages):
            if (level := one.levels.get(language)) is not None:
                _draw_level(axes, one, level, row + shift, f"{place}-{row}")
    axes.set_ylim(len(languages) - 0.5, -0.5)  # the source language on top
    labels = [f"{language}  ({_kind(language, result)})" for language in languages]
    axes.set_yticks(range(len(languages)), labels)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    for row in range(1, len(languages)):
        axes.axhline(row - 0.5, color=GRID, linewidth=0.5, zorder=0)
    axes.set_xlabel(label)
    legend_below(figure, [_handle(one) for one in series], columns=1)
    return figure


def _kind(language: str, result: ZeroShot) -> str:
    kinds = ["source"] if language == result.source_language else []
    kinds += ["dev"] if language in result.dev_languages else []
    return ", ".join(kinds) or "held-out"


def _draw_level(axes: Axes, one: Series, level: Level, row: float, name: str) -> None:
    if level.low is not None and level.high is not None:
        axes.plot([100 * level.low, 100 * level.high], [row, row], color=one.colour, linewidth=1.4)
    axes.plot(
        [100 * level.mean], [row], linestyle="none", gid=name, zorder=3,
        **_look(one),
    )  # fmt: skip


def _look(one: Series) -> dict[str, Any]:
    return {
        "marker": one.marker,
        "markersize": 6.5,
        "color": one.colour,
        "markerfacecolor": PAPER if one.is_hollow else one.colour,
        "markeredgecolor": one.colour if one.is_hollow else PAPER,
        "markeredgewidth": 1.4 if one.is_hollow else 0.5,
    }


def _handle(one: Series) -> Line2D:
    return Line2D([], [], linestyle="none", label=one.label, **_look(one))


def _tooltips(series: Sequence[Series], languages: Iterable[str]) -> dict[str, str]:
    return {
        f"{place}-{row}": f"{one.label}, {language}: {level_text(level)}"
        for place, one in enumerate(series)
        for row, language in enumerate(languages)
        if (level := one.levels.get(language)) is not None
    }


def level_text(level: Level) -> str:
    """Return a level in percent with its interval: `79.4 % (78.1 to 80.6)`."""
    text = f"{100 * level.mean:.1f} %"
    if level.low is None or level.high is None:
        return text
    return f"{text} ({100 * level.low:.1f} to {100 * level.high:.1f})"
