"""The report of a search as artifacts of its run, where MLflow shows them in place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlflow.tracking import MlflowClient

from rxtune.errors import TrackingError
from rxtune.track.runs import run_of_search
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
    run = run_of_search(client, experiment_id, search_id)
    if run is None:
        raise TrackingError(
            "--mlflow: MLflow does not have this search; resume it, which writes it again, or"
            " leave the flag out"
        )
    for file in files:
        client.log_artifact(run.info.run_id, str(file), FOLDER)
