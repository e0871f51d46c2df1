"""Data sets and the best model as MLflow's own entities, in a real store."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from rxtune.track import BestModel, DataUse


@pytest.fixture
def client(database: Any) -> MlflowClient:
    return MlflowClient(f"sqlite:///{database}")


def test_the_search_has_its_data_sets_with_their_use(
    open_tracker: Any, client: MlflowClient
) -> None:
    tracker = open_tracker()
    tracker.used(
        [
            DataUse(name=name, context=context, source="embedded", digest="d" * 40, rows=rows)
            for name, context, rows in (
                ("babel eng train", "training", 6000),
                ("babel qaf dev", "validation", 1000),
            )
        ]
    )
    tracker.close()
    assert tracker.problems == []
    inputs = client.get_run(tracker.run_id).inputs.dataset_inputs
    found = {use.dataset.name: (use.tags[0].value, use.dataset.profile) for use in inputs}
    assert found == {
        "babel eng train": ("training", json.dumps({"num_rows": 6000})),
        "babel qaf dev": ("validation", json.dumps({"num_rows": 1000})),
    }


def model(trial: int) -> BestModel:
    return BestModel(trial=trial, name="rs-best", place="runs/rs/best", parameters={"sigma": "1"})


def test_the_best_model_is_ready_and_the_output_of_the_search(
    open_tracker: Any, client: MlflowClient
) -> None:
    tracker = open_tracker()
    tracker.found(model(3))
    tracker.close()
    assert tracker.problems == []
    (output,) = client.get_run(tracker.run_id).outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    assert (logged.name, logged.status, logged.source_run_id) == (
        "rs-best",
        "READY",
        tracker.run_id,
    )
    assert (logged.params, logged.tags["trial"]) == ({"sigma": "1"}, "3")


def test_a_resumed_search_logs_a_model_only_if_another_trial_has_won(
    open_tracker: Any, client: MlflowClient
) -> None:
    search_id, run_id = "resumed-model", ""
    for trial in (3, 3, 5):
        tracker = open_tracker(search_id)
        tracker.found(model(trial))
        tracker.close()
        run_id = tracker.run_id
    outputs = client.get_run(run_id).outputs.model_outputs
    assert {client.get_logged_model(o.model_id).tags["trial"] for o in outputs} == {"3", "5"}
    assert len(outputs) == 2
