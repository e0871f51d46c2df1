"""Saved views of MLflow's experiment page: which columns and charts it opens with.

MLflow keeps them as tags of the experiment: they stand in the page's menu *Views*, and an address
with `viewStateShareKey` opens one. What a page without that key opens with is each browser's own
affair; no store can set it. Format: read in the source of the UI of MLflow 3.17.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from rxtune.track.projection import SEARCH_TAG, TRIAL_TAG

TAG = "mlflow.sharedViewState."
OVERVIEW = "rxtune"
"""Key of the view of all searches."""
_LONGEST = 5000
"""Characters of a tag's value that every store takes."""

_FIRST = ("method", "sigma", "radius", "pgd_steps")
_HYPERPARAMETERS = (*_FIRST, "learning_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a search's views are made of."""

    search_id: str
    name: str
    """Of the run."""
    metric: str
    """Accuracy or macro_f1."""
    parameters: tuple[str, ...]
    """What is searched."""
    dev_languages: tuple[str, ...]
    began: float
    """Unix time in seconds."""


def view_tags(shown: Shown) -> dict[str, str]:
    """Return the experiment's tags for a search: its trials' view and the view of all searches."""
    trials = {**_STATE, **_trials(shown)}
    searches = {**_STATE, "selectedColumns": _columns(shown, _HYPERPARAMETERS)}
    views = {
        shown.search_id: (f"rxtune: trials of {shown.name}", trials),
        OVERVIEW: ("rxtune: searches", searches),
    }
    found = {key: _envelope(name, state, shown.began) for key, (name, state) in views.items()}
    return {f"{TAG}{key}": value for key, value in found.items() if len(value) <= _LONGEST}


def page_of_view(experiment_id: str, key: str) -> str:
    """Return the path of a view in the UI."""
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey={key}"


_STATE: Mapping[str, Any] = {
    "searchFilter": "",
    "orderByKey": "attributes.start_time",
    "orderByAsc": False,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "modelVersionFilter": "All Runs",
    "runsHiddenMode": "SHOW_ALL",
}


def _envelope(name: str, state: Mapping[str, Any], began: float) -> str:
    at = round(1000 * began)
    compact = json.dumps(state, separators=(",", ":"))
    return json.dumps({"name": name, "createdAt": at, "updatedAt": at, "state": compact})


def _trials(shown: Shown) -> dict[str, Any]:
    charts, section = _charts(shown), _uuid(shown, "section")
    columns = _columns(shown, _searched(shown))
    of_this = f"tags.`{SEARCH_TAG}` = '{shown.search_id}'"
    return {
        "searchFilter": f"{of_this} and tags.`{TRIAL_TAG}` LIKE '%'",  # without the search's own
        "orderByKey": f"metrics.`dev_{shown.metric}`",
        "selectedColumns": columns,
        "columnOrder": ["1", "attributes.`Run Name`", "runDateAndNestInfo", *columns],
        "columnWidths": {**dict.fromkeys(columns, _WIDTH), **_WIDTHS},
        "compareRunSections": [
            {
                "uuid": section,
                "name": f"Trials of {shown.name}",
                "display": True,
                "isReordered": False,
                "deleted": False,
                "isGenerated": False,
                "columns": 2,
                "cardHeight": 400,
            }
        ],
        "compareRunCharts": [
            {
                "uuid": _uuid(shown, chart["displayName"]),
                "metricSectionId": section,
                "isGenerated": False,
                "deleted": False,
                "runsCountToCompare": 100,
                **chart,
            }
            for chart in charts
        ],
    }


_WIDTHS: Mapping[str, int] = {
    "attributes.`Run Name`": 150,
    "runDateAndNestInfo": 125,
    "tags.`state`": 75,
    "params.`method`": 100,
    "params.`sigma`": 70,
    "params.`radius`": 75,
    "params.`pgd_steps`": 85,
    "metrics.`worst_language_accuracy`": 80,
    "tags.`worst_language`": 80,
}
"""In pixels; with them what comes first fits on a screen of 1,500."""
_WIDTH = 105
"""Of any other column."""


def _columns(shown: Shown, parameters: Iterable[str]) -> list[str]:
    """Return the columns in their order: what tells methods apart, scores, cost, the rest."""
    scores = (f"dev_{shown.metric}", _held_out(shown), f"worst_language_{shown.metric}")
    named = {name: f"params.`{name}`" for name in parameters}
    return [
        "tags.`state`",
        *(column for name, column in named.items() if name in _FIRST),
        *(f"metrics.`{name}`" for name in scores),
        "tags.`worst_language`",
        "metrics.`forward_equivalents`",
        *(column for name, column in named.items() if name not in _FIRST),
    ]


def _held_out(shown: Shown) -> str:
    return "held_out_mean" if shown.metric == "accuracy" else f"held_out_mean_{shown.metric}"


def _searched(shown: Shown) -> list[str]:
    known = [name for name in _HYPERPARAMETERS if name in shown.parameters]
    others = [name for name in shown.parameters if name not in _HYPERPARAMETERS]
    return [*known, *others[:3]]


def _charts(shown: Shown) -> Sequence[dict[str, Any]]:
    score = f"dev_{shown.metric}"
    curves = [f"dev_{shown.metric}/{language}" for language in shown.dev_languages[:6]]
    plots: list[dict[str, Any]] = [
        {
            "type": "PARALLEL",
            "displayName": "Parameters and dev score",
            "selectedParams": _searched(shown),
            "selectedMetrics": [score],
            "showAllRuns": True,
        },
        {
            "type": "LINE",
            "displayName": "Dev score per language while training",
            "metricKey": curves[0] if curves else score,
            "selectedMetricKeys": curves or [score],
            "xAxisKey": "step",
            "scaleType": "linear",
            "lineSmoothness": 0,
        },
        {
            "type": "BAR",
            "displayName": "Held-out mean",
            "metricKey": _held_out(shown),
        },
    ]
    noise = next((name for name in ("sigma", "radius") if name in shown.parameters), None)
    if noise is not None:
        plots.append(
            {
                "type": "SCATTER",
                "displayName": f"Dev score against {noise}",
                "xaxis": {"key": noise, "type": "PARAM"},
                "yaxis": {"key": score, "type": "METRIC"},
            }
        )
    return plots


def _uuid(shown: Shown, name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{shown.search_id}/{name}"))
