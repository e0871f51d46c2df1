"""An exported model in MLflow's registry, from which it can be loaded anywhere."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from rxtune.errors import TrackingError
from rxtune.results import TrialRecord
from rxtune.track.projection import TRIAL_TAG
from rxtune.track.runs import each_run
from rxtune.track.store import STORE_SECONDS, connect, resolve_uri, within

TASK = "text-classification"
_UPLOAD_SECONDS = 600.0


def register_model(
    uri: str,
    *,
    experiment: str,
    name: str,
    components: Mapping[str, Any],
    search_id: str,
    record: TrialRecord,
) -> str:
    """Give MLflow's registry a copy of an exported model as a new version.

    `mlflow.transformers.load_model` and `mlflow.pyfunc.load_model` load it back.

    Args:
        uri: The tracking URI of the search.
        experiment: Its experiment.
        name: Of the registered model; made if it is new.
        components: `model` and `tokenizer`, loaded: from a folder MLflow 3.17 cannot pack a model
            with transformers 5.
        search_id: What tells the search from all others.
        record: The trial's.

    Returns:
        `models:/NAME/VERSION`.

    Raises:
        TrackingError: MLflow refuses or cannot be reached.
    """
    uri = resolve_uri(uri)
    client, experiment_id = connect(uri, experiment)
    run_id = within(
        STORE_SECONDS, uri, lambda: _run_of(client, experiment_id, search_id, record.number)
    )
    if run_id is None:
        raise TrackingError(
            f"--register: MLflow at {uri} has no run of trial {record.number} of this search;"
            " resume the search, which writes it again, or leave the flag out"
        )
    with _quietly():  # in this thread: one that is given up would never let the streams go
        version = within(
            _UPLOAD_SECONDS,
            uri,
            lambda: _registered(client, experiment_id, run_id, name, components, record),
        )
    return f"models:/{name}/{version}"


def _run_of(client: MlflowClient, experiment_id: str, search_id: str, trial: int) -> str | None:
    """Return the id of a trial's run, or that of the search's where the trial has none."""
    runs = each_run(client, experiment_id, search_id)
    by_trial = {run.data.tags.get(TRIAL_TAG): str(run.info.run_id) for run in runs}
    return by_trial.get(str(trial)) or by_trial.get(None)


def _registered(
    client: MlflowClient,
    experiment_id: str,
    run_id: str,
    name: str,
    components: Mapping[str, Any],
    record: TrialRecord,
) -> str:
    """Copy, log and register the model; the trial's run stays ended, and no run is the active one.

    `mlflow.transformers.log_model` would start the run anew.
    """
    import mlflow.transformers

    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / "model"
        mlflow.transformers.save_model(
            dict(components), str(packed), task=TASK, pip_requirements=_requirements()
        )
        made = client.create_logged_model(
            experiment_id, name=name, source_run_id=run_id, model_type=TASK
        )
        client.log_model_artifacts(made.model_id, str(packed))
        client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    tags = {"trial": str(record.number), "method": record.configuration.method}
    if record.value is not None:
        tags["dev_score"] = f"{record.value:.4f}"
    with suppress(MlflowException):  # it is there already; if not, the next call says why
        client.create_registered_model(name)
    source = f"models:/{made.model_id}"
    with _as_the_store(client.tracking_uri):
        version = client.create_model_version(
            name, source, run_id=run_id, tags=tags, model_id=made.model_id
        )
    return str(version.version)


@contextmanager
def _as_the_store(uri: str) -> Iterator[None]:
    """Make a store the one that MLflow looks models up in; the client's own is not asked."""
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def _requirements() -> list[str]:
    from rxtune.track.provenance import versions

    found = versions()
    return [f"{name}=={found[name]}" for name in ("torch", "transformers") if name in found]


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep what MLflow and transformers have to say from the terminal."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(before)
