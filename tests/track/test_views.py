"""Saved views of MLflow's page: what they say, and that they reach the experiment."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from rxtune.track import Shown
from rxtune.track.ui import page_of
from rxtune.track.views import OVERVIEW, TAG, view_tags

SHOWN = Shown(
    search_id="rs-1",
    name="rs",
    metric="accuracy",
    parameters=("method", "learning_rate", "sigma", "samples"),
    dev_languages=("qaf", "qag"),
    began=1.7e9,
)


def state(shown: Shown, key: str) -> dict[str, Any]:
    envelope = json.loads(view_tags(shown)[f"{TAG}{key}"])
    assert envelope.keys() == {"name", "createdAt", "updatedAt", "state"}
    found: dict[str, Any] = json.loads(envelope["state"])
    return found


def test_the_columns_are_what_the_search_is_about_and_no_more() -> None:
    assert state(SHOWN, "rs-1")["selectedColumns"] == [
        "tags.`state`",
        "params.`method`",
        "params.`sigma`",
        "metrics.`dev_accuracy`",
        "metrics.`held_out_mean`",
        "metrics.`worst_language_accuracy`",
        "tags.`worst_language`",
        "metrics.`forward_equivalents`",
        "params.`learning_rate`",
        "params.`samples`",
    ]


def test_the_names_are_those_under_which_trials_are_logged(record: Any, evaluation: Any) -> None:
    from rxtune.track import projection

    ended = record(0, "finished", evaluations=1)
    logged = {f"metrics.`{metric.key}`" for metric in projection.metrics(ended)}
    logged |= {f"params.`{name}`" for name in projection.params(ended.configuration)}
    logged |= {f"tags.`{name}`" for name in projection.tags(ended)}
    assert set(state(SHOWN, "rs-1")["selectedColumns"]) - logged == {"params.`samples`"}


def test_the_curves_are_those_of_the_dev_languages() -> None:
    charts = {chart["type"]: chart for chart in state(SHOWN, "rs-1")["compareRunCharts"]}
    assert charts["LINE"]["selectedMetricKeys"] == ["dev_accuracy/qaf", "dev_accuracy/qag"]
    assert charts["PARALLEL"]["selectedParams"] == ["method", "sigma", "learning_rate", "samples"]
    assert charts["SCATTER"]["xaxis"] == {"key": "sigma", "type": "PARAM"}


def test_an_experiment_takes_both_views(open_tracker: Any, database: Any) -> None:
    from dataclasses import replace

    tracker = open_tracker()
    uri = f"sqlite:///{database}"
    assert page_of(uri, tracker.search_id, "babel").endswith(f"/runs/{tracker.run_id}")
    shown = replace(SHOWN, search_id=tracker.search_id)
    tracker.show(shown)
    tracker.close()
    assert tracker.problems == []
    tags = MlflowClient(uri).get_experiment(tracker.experiment_id).tags
    assert view_tags(shown).items() <= tags.items()
    assert f"{TAG}{OVERVIEW}" in tags
    page = page_of(uri, tracker.search_id, "babel")
    assert page == (
        f"/#/experiments/{tracker.experiment_id}/runs?viewStateShareKey={tracker.search_id}"
    )


@pytest.mark.parametrize("count", [1, 50])
def test_a_view_fits_into_a_tag_however_many_languages(count: int) -> None:
    from dataclasses import replace

    many = replace(SHOWN, dev_languages=tuple(f"language-{n}_Latn" for n in range(count)))
    assert len(view_tags(many)) == 2
