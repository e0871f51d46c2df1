"""Data sets and the best model as MLflow's own entities; written without loading either."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    RunTag,
)
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_MODEL_IS_EXTERNAL

MODEL_TAG = "rxtune.model"
"""Of the search's run: whose model was logged last, and its id in MLflow: `3:m-…`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataUse:
    """One language of a task, and what a search does with it."""

    name: str
    """Such as `babel eng train`."""
    context: str
    """MLflow's word: training, or validation where it chooses, else evaluation."""
    source: str
    """Where it comes from, for people."""
    digest: str
    """What identifies its content; MLflow takes 36 characters."""
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BestModel:
    """The model that a search keeps as its best."""

    trial: int
    name: str
    """Of the model in MLflow."""
    place: str
    """Folder in which it lies."""
    parameters: Mapping[str, str]


def dataset_input(use: DataUse) -> DatasetInput:
    """Return a data set as MLflow's run pages list it."""
    dataset = Dataset(
        name=use.name,
        digest=use.digest[:36],
        source_type="local",
        source=json.dumps({"uri": use.source}),
        profile=json.dumps({"num_rows": use.rows}),
    )
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, use.context)])


def log_best_model(
    client: MlflowClient, experiment_id: str, run_id: str, model: BestModel
) -> None:
    """Make the model known to MLflow; its files stay where they are.

    `rxtune export --register` gives MLflow a copy.
    """
    made = client.create_logged_model(
        experiment_id,
        name=model.name,
        source_run_id=run_id,
        tags={
            MLFLOW_MODEL_IS_EXTERNAL: "true",
            "trial": str(model.trial),
            "place": model.place,
        },
        params=dict(model.parameters),
        model_type="text-classification",
    )
    client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(made.model_id, step=0)])
    client.log_batch(run_id, tags=[RunTag(MODEL_TAG, f"{model.trial}:{made.model_id}")])
