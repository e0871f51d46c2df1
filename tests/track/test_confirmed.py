"""A confirmation in a real MLflow database: below its search, and never twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from rxtune.config import Configuration
from rxtune.errors import TrackingError
from rxtune.results import ConfirmedRun, ZeroShot
from rxtune.track import Claim, log_confirmation

CLAIM = Claim(
    metrics={"difference": 0.05, "low": 0.01, "high": 0.09, "p": 0.02},
    tags={"verdict": "confirmed: +5.0 points", "confirmed": "true"},
    description="**confirmed**",
    artifacts={"confirm.md": "# Confirmation", "confirm.csv": "configuration\n"},
)
TESTED = ZeroShot(
    accuracy={"eng": 0.9, "qaa": 0.7, "qaf": 0.5, "qag": 0.6},
    source_language="eng",
    dev_languages=("qaf",),
    split="test",
    generalized={"eng": {"eng": 0.9, "qaa": 0.8}, "qaa": {"eng": 0.6, "qaa": 0.7}},
)


def run_of(seed: int, **changes: Any) -> ConfirmedRun:
    fields: dict[str, Any] = {
        "trial": 7,
        "roles": ("robust", "named"),
        "configuration": Configuration(method="rs_rp", sigma=0.8),
        "zero_shot": TESTED,
        "forward_equivalents": 500.0,
        "seconds": 3.5,
        "predictions": "test-trial-0007-seed-1.parquet",
    }
    return ConfirmedRun(seed=seed, **{**fields, **changes})


@pytest.fixture
def client(database: Any) -> MlflowClient:
    return MlflowClient(f"sqlite:///{database}")


@pytest.fixture
def search(open_tracker: Any) -> Any:
    """A search whose confirmation is logged."""
    tracker = open_tracker()
    tracker.close()
    return tracker


def log(search: Any, *runs: ConfirmedRun, claim: Claim = CLAIM) -> None:
    log_confirmation(
        search.uri, experiment="babel", search_id=search.search_id, runs=runs, claim=claim
    )


def below(client: MlflowClient, search: Any, run_id: str) -> dict[str, Any]:
    found = client.search_runs([search.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def test_the_claim_stands_in_one_run_below_the_search(client: MlflowClient, search: Any) -> None:
    log(search, run_of(1))
    (parent,) = below(client, search, search.run_id).values()
    assert parent.info.run_name == "confirm"
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["confirm"] == "true"
    assert parent.data.tags["verdict"] == "confirmed: +5.0 points"
    assert parent.data.metrics == dict(CLAIM.metrics)
    names = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert names == {"confirm.md", "confirm.csv"}


def test_every_training_is_a_run_below_with_what_it_is_and_found(
    client: MlflowClient, search: Any
) -> None:
    log(search, run_of(1), run_of(2, trial=None, configuration=Configuration()))
    (parent,) = below(client, search, search.run_id).values()
    runs = below(client, search, parent.info.run_id)
    assert set(runs) == {"confirm t07 rs_rp seed 1", "confirm named standard seed 2"}
    run = runs["confirm t07 rs_rp seed 1"]
    assert run.data.params["sigma"] == "0.8"
    assert run.data.params["seed"] == "1"
    assert run.data.tags["confirm"] == "true"
    assert run.data.tags["roles"] == "robust, named"
    assert run.data.tags["predictions"] == "test-trial-0007-seed-1.parquet"
    expected = {
        "test/eng": 0.9,
        "test/qaa": 0.7,
        "test/qaf": 0.5,
        "test/qag": 0.6,
        "target_mean": 0.6,
        "held_out_mean": 0.65,
        "worst_language_accuracy": 0.5,
        "transfer_gap": 0.3,
        "generalized_mean": 0.7,
        "forward_equivalents": 500.0,
        "training_seconds": 3.5,
    }
    assert {key: run.data.metrics[key] for key in expected} == pytest.approx(expected)


def test_a_run_that_failed_says_why(client: MlflowClient, search: Any) -> None:
    log(search, run_of(1, zero_shot=None, reason="diverged: update 3", seconds=None))
    (parent,) = below(client, search, search.run_id).values()
    (run,) = below(client, search, parent.info.run_id).values()
    assert run.info.status == "FAILED"
    assert run.data.tags["reason"] == "diverged: update 3"


def test_confirming_again_and_further_doubles_nothing(client: MlflowClient, search: Any) -> None:
    log(search, run_of(1))
    log(search, run_of(1))
    later = replace(CLAIM, metrics={**CLAIM.metrics, "p": 0.01})
    log(search, run_of(1), run_of(2), claim=later)
    (parent,) = below(client, search, search.run_id).values()
    assert [p.value for p in client.get_metric_history(parent.info.run_id, "p")] == [0.02, 0.01]
    assert len(client.get_metric_history(parent.info.run_id, "difference")) == 1
    runs = below(client, search, parent.info.run_id)
    assert len(runs) == 2
    for run in runs.values():
        for name in run.data.metrics:
            assert len(client.get_metric_history(run.info.run_id, name)) == 1


def test_a_run_that_was_repeated_with_success_is_no_failure_any_more(
    client: MlflowClient, search: Any
) -> None:
    log(search, run_of(1, zero_shot=None, reason="out of memory: no room"))
    log(search, run_of(1))
    (parent,) = below(client, search, search.run_id).values()
    (run,) = below(client, search, parent.info.run_id).values()
    assert (run.info.status, run.data.tags["reason"]) == ("FINISHED", "")
    assert run.data.metrics["held_out_mean"] == 0.65


def test_the_search_does_not_take_them_for_its_own(search: Any, open_tracker: Any) -> None:
    log(search, run_of(1))
    again = open_tracker(search.search_id)
    again.close()
    assert again.run_id == search.run_id


def test_where_mlflow_does_not_have_the_search_the_confirmation_stands_alone(
    client: MlflowClient, search: Any
) -> None:
    client.delete_run(search.run_id)
    log(search, run_of(1))
    (parent,) = client.search_runs(
        [search.experiment_id],
        f"tags.`rxtune.confirm_of` = '{search.search_id}' and attributes.run_name = 'confirm'",
    )
    assert "mlflow.parentRunId" not in parent.data.tags


def test_a_store_that_refuses_is_told(search: Any, tmp_path: Any) -> None:
    damaged = tmp_path / "mlflow.db"
    damaged.write_text("no database")
    with pytest.raises(TrackingError, match=r"mlflow\.db"):
        log_confirmation(
            f"sqlite:///{damaged}", experiment="babel", search_id="s", runs=[], claim=CLAIM
        )
