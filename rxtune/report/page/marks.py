"""Trials in a plot: each by itself with a tooltip or, where they are many, as one picture."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from rxtune.report.page.style import METHOD_LOOKS, MUTED, PAPER
from rxtune.report.page.words import trial_text
from rxtune.results import Failure, TrialRecord, TrialState

MOST_MARKS = 400
"""Trials of a plot above which they are drawn as a picture inside it, without tooltips."""

Look = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A trial as a point or a line."""

    record: TrialRecord
    x: Sequence[float]
    y: Sequence[float]
    look: Look
    """How matplotlib is to draw it."""


def draw_marks(axes: Axes, marks: Sequence[Mark], *, as_picture: bool, part: str = "") -> None:
    """Draw trials.

    Args:
        axes: Where to draw.
        marks: The trials.
        as_picture: Whether they are `too_many`: then those that look the same are drawn at once.
        part: Tells the marks of a trial apart that stands in several axes of a plot.
    """
    if not as_picture:
        for mark in marks:
            axes.plot(mark.x, mark.y, gid=f"t{mark.record.number}{part}", **mark.look)
        return
    groups: dict[str, tuple[Look, list[float], list[float]]] = {}
    for mark in marks:
        _, xs, ys = groups.setdefault(json.dumps(mark.look), (mark.look, [], []))
        xs += [*mark.x, math.nan]  # no line goes on to the next trial
        ys += [*mark.y, math.nan]
    for look, xs, ys in groups.values():
        axes.plot(xs, ys, rasterized=True, **_smaller(look))


def _smaller(look: Look) -> Look:
    """Return a look for many marks that must leave room for one another."""
    shrunk = {"markersize": 0.6 * look["markersize"]} if "markersize" in look else {}
    return look | shrunk


def too_many(records: Sequence[TrialRecord]) -> bool:
    """Return whether so many trials are to be a picture."""
    return len(records) > MOST_MARKS


def tooltips(records: Sequence[TrialRecord], parts: Iterable[str] = ("",)) -> dict[str, str]:
    """Return what is shown at the mark of every trial; nothing where they are too many."""
    if too_many(records):
        return {}
    return {f"t{r.number}{part}": trial_text(r) for part in parts for r in records}


def point(record: TrialRecord, x: float, y: float) -> Mark:
    """Return a trial as a point: filled if it ran to its end, hollow if stopped, half if not yet.

    A failed one is a cross.
    """
    colour, marker = METHOD_LOOKS[record.configuration.method]
    look = {"linestyle": "none", "color": colour, "zorder": 3, "clip_on": False}
    return Mark(record=record, x=[x], y=[y], look=look | _state_look(record, marker))


def _state_look(record: TrialRecord, marker: str) -> Look:
    match _state_word(record):
        case "running or cut off":
            look = {"markersize": 7, "fillstyle": "left", "markerfacecoloralt": PAPER}
            return {"marker": marker, "markeredgewidth": 1.2, **look}
        case "failed":
            return {"marker": "x", "markersize": 7, "markeredgewidth": 1.8}
        case "stopped early":
            look = {"markersize": 5.5, "markerfacecolor": PAPER}
            return {"marker": marker, "markeredgewidth": 1.3, **look}
    look = {"markersize": 7.5, "markeredgecolor": PAPER}
    return {"marker": marker, "markeredgewidth": 0.6, **look}


def _state_word(record: TrialRecord) -> str:
    if record.failure is Failure.INTERRUPTED or record.state is TrialState.RUNNING:
        return "running or cut off"
    ends = {TrialState.FINISHED: "ran to the end", TrialState.STOPPED: "stopped early"}
    return ends.get(record.state, "failed")


def state_legend(records: Sequence[TrialRecord]) -> list[Artist]:
    """Return what explains the points of these trials: methods, then states."""
    examples = {_state_word(record): record for record in records}
    return [
        *method_legend(records, linestyle="none"),
        *(
            Line2D([], [], linestyle="none", color=MUTED, label=word, **_state_look(record, "o"))
            for word in ("ran to the end", "stopped early", "running or cut off", "failed")
            if (record := examples.get(word)) is not None
        ),
    ]


def method_legend(records: Sequence[TrialRecord], **look: Any) -> list[Artist]:
    """Return what explains the methods of these trials, by colour and marker."""
    methods = {record.configuration.method for record in records}
    return [
        Line2D([], [], label=method, **{"color": colour, "marker": marker, **look})
        for method, (colour, marker) in METHOD_LOOKS.items()
        if method in methods
    ]
