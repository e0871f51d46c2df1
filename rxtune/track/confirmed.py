"""A confirmation as MLflow runs: one below the search, and one below that for every training."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.tracking import MlflowClient

from rxtune.results import ConfirmedRun
from rxtune.track.projection import (
    by_language,
    exactly,
    milliseconds,
    params,
    result_metrics,
)
from rxtune.track.runs import each_run, run_of_search
from rxtune.track.store import STORE_SECONDS, connect, resolve_uri, within

CONFIRM_TAG = "rxtune.confirm_of"
"""Search whose confirmation a run belongs to; not the tag of the search's own runs."""
RUN_TAG = "rxtune.confirm_run"
"""Which configuration and seed a run is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What MLflow shows of the confirmation as a whole."""

    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    description: str
    """Markdown for the run's page."""
    artifacts: Mapping[str, str] = field(default_factory=dict)
    """Text by file name."""


@dataclass(frozen=True, slots=True)
class _Written:
    """What a run in MLflow is to hold."""

    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    status: str
    seconds: float = 0.0


def log_confirmation(
    uri: str | None, *, experiment: str, search_id: str, runs: Sequence[ConfirmedRun], claim: Claim
) -> None:
    """Write a confirmation; what MLflow has already does not double.

    The runs are found by tags, so that more seeds, or a confirmation that goes on after a crash,
    continue with the same ones.

    Args:
        uri: The tracking URI of the search.
        experiment: Its experiment's name.
        search_id: What tells the search from all others.
        runs: All runs of the confirmation.
        claim: What it says.

    Raises:
        TrackingError: MLflow refuses or cannot be reached.
    """
    uri = resolve_uri(uri)
    client, experiment_id = connect(uri, experiment)
    seconds = STORE_SECONDS + 2.0 * len(runs)
    within(seconds, uri, lambda: _Projection(client, experiment_id, search_id).write(runs, claim))


class _Projection:
    """What MLflow has of one confirmation, and what is added."""

    def __init__(self, client: MlflowClient, experiment_id: str, search_id: str) -> None:
        self._client, self._experiment_id = client, experiment_id
        self._search_id = search_id
        known = [*each_run(client, experiment_id, search_id, CONFIRM_TAG)]
        # Of two for one training the older.
        self._known = {run.data.tags.get(RUN_TAG, ""): run for run in reversed(known)}

    def write(self, runs: Sequence[ConfirmedRun], claim: Claim) -> None:
        """Write the parent, its children and its artifacts."""
        tags = {**claim.tags, "mlflow.note.content": claim.description}
        parent = _Written("confirm", tags, {}, claim.metrics, "FINISHED")
        parent_id = self._write("", parent, self._search_run())
        for run in runs:
            self._write(run_key(run), _of_run(run), parent_id)
        for name, text in claim.artifacts.items():
            self._client.log_text(parent_id, text, name)

    def _search_run(self) -> str | None:
        """Return the id of the search's run; None: MLflow does not have it (any more)."""
        found = run_of_search(self._client, self._experiment_id, self._search_id)
        return None if found is None else str(found.info.run_id)

    def _write(self, key: str, wanted: _Written, parent_id: str | None) -> str:
        run = self._known.get(key) or self._create(key, wanted, parent_id)
        run_id: str = run.info.run_id
        now = milliseconds(time.time())
        # A confirmation has no time of its own by which MLflow could tell a point from its double.
        metrics = [
            Metric(name, value, now, 0)
            for name, value in wanted.metrics.items()
            if math.isfinite(value) and run.data.metrics.get(name) != value
        ]
        new = [Param(k, v) for k, v in wanted.params.items() if k not in run.data.params]
        tags = [RunTag(k, v) for k, v in wanted.tags.items() if run.data.tags.get(k) != v]
        self._client.log_batch(run_id, metrics=metrics, params=new, tags=tags)
        if run.info.status != wanted.status or metrics:
            self._client.set_terminated(run_id, wanted.status)
        return run_id

    def _create(self, key: str, wanted: _Written, parent_id: str | None) -> Run:
        tags = {
            CONFIRM_TAG: self._search_id,
            "confirm": "true",
            "mlflow.source.name": "rxtune confirm",
            "mlflow.source.type": "LOCAL",
        }
        tags |= {RUN_TAG: key} if key else {}
        tags |= {"mlflow.parentRunId": parent_id} if parent_id else {}
        began = milliseconds(time.time() - wanted.seconds)
        return self._client.create_run(
            self._experiment_id, start_time=began, tags=tags, run_name=wanted.name
        )


def run_key(run: ConfirmedRun) -> str:
    """Return what tells a run from all others of its confirmation."""
    parameters = json.dumps(run.configuration.searched(), sort_keys=True)
    return f"{hashlib.sha256(parameters.encode()).hexdigest()[:12]}-{run.seed}"


def _of_run(run: ConfirmedRun) -> _Written:
    source = "named" if run.trial is None else f"t{run.trial:02d}"
    tags = {"roles": ", ".join(run.roles), "reason": run.reason or ""}
    tags |= {"trial": str(run.trial)} if run.trial is not None else {}
    tags |= {"predictions": run.predictions} if run.predictions else {}
    tags["configuration"] = exactly(run.configuration)
    return _Written(
        name=f"confirm {source} {run.configuration.method} seed {run.seed}",
        tags=tags,
        params={**params(run.configuration), "seed": str(run.seed)},
        metrics=_metrics(run),
        status="FAILED" if run.zero_shot is None else "FINISHED",
        seconds=run.seconds or 0.0,
    )


def _metrics(run: ConfirmedRun) -> dict[str, float]:
    costs = {"forward_equivalents": run.forward_equivalents, "training_seconds": run.seconds}
    metrics = {name: cost for name, cost in costs.items() if cost is not None}
    if run.zero_shot is None:
        return metrics
    means = result_metrics(run.zero_shot)
    gap = run.zero_shot.source_score - run.zero_shot.target_mean
    return {
        **metrics,
        **by_language("test", run.zero_shot.accuracy),
        **by_language("test_macro_f1", run.zero_shot.macro_f1),
        **means,
        "transfer_gap": round(gap, 6),
    }
