"""The report of a search as artifacts of its run, where MLflow shows them in place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlflow.tracking import MlflowClient

from rxtune.errors import TrackingError
from rxtune.track.projection import SEARCH_TAG, TRIAL_TAG
from rxtune.track.store import connect, resolve_uri, within

FOLDER = "report"
"""In the run's artifacts."""
_SECONDS = 120.0


def log_report(uri: str, *, experiment: str, search_id: str, files: Sequence[Path]) -> None:
    """Put files among the artifacts of a search's run; earlier ones of the same name go.

    Args:
        uri: The tracking URI of the search.
        experiment: Its experiment.
        search_id: What tells the search from all others.
        files: What to show.

    Raises:
        TrackingError: MLflow refuses, cannot be reached, or does not have the search.
    """
    uri = resolve_uri(uri)
    client, experiment_id = connect(uri, experiment)
    within(_SECONDS, uri, lambda: _log(client, experiment_id, search_id, files))


def _log(client: MlflowClient, experiment_id: str, search_id: str, files: Sequence[Path]) -> None:
    runs = client.search_runs([experiment_id], f"tags.`{SEARCH_TAG}` = '{search_id}'")
    parents = [run for run in runs if TRIAL_TAG not in run.data.tags]
    if not parents:
        raise TrackingError(
            "--mlflow: MLflow does not have this search; resume it, which writes it again, or"
            " leave the flag out"
        )
    for file in files:
        client.log_artifact(parents[0].info.run_id, str(file), FOLDER)
