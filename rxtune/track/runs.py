"""The runs of a search as MLflow has them, and what is written into a run."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.tracking import MlflowClient

from rxtune.track.projection import SEARCH_TAG, TRIAL_TAG

_PAGE = 1000


@dataclass(slots=True)
class KnownRun:
    """What MLflow already has of a run, so that it is not written again."""

    run_id: str
    status: str
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    """By metric the step of its latest point when the run was found."""

    @classmethod
    def of(cls, run: Run) -> Self:
        data = run.data
        return cls(
            run.info.run_id,
            run.info.status,
            dict(data.params),
            dict(data.metrics),
            dict(data.tags),
            {metric.key: metric.step for metric in data.to_proto().metrics},
        )

    def lacking(self, points: Sequence[Metric]) -> list[Metric]:
        """Return those of a curve's points, in their order, that MLflow did not have.

        A machine that was lost may have sent what the copy of its journal did not hold yet: it is
        trained again, and a later time would make each a second point at the same step.
        """
        return [point for point in points if point.step > self.steps.get(point.key, -1)]


def each_run(
    client: MlflowClient, experiment_id: str, search_id: str, tag: str = SEARCH_TAG
) -> Iterator[Run]:
    """Yield the runs of a search, or those whose `tag` names it, oldest first.

    MLflow answers in pages; those that nobody comes to are not asked for.
    """
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id],
            f"tags.`{tag}` = '{search_id}'",
            max_results=_PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        yield from page
        if not (token := page.token):
            return


def run_of_search(client: MlflowClient, experiment_id: str, search_id: str) -> Run | None:
    """Return the run of a search itself, not of a trial; None: MLflow does not have it."""
    runs = each_run(client, experiment_id, search_id)
    return next((run for run in runs if TRIAL_TAG not in run.data.tags), None)


def children_of(runs: list[Run]) -> dict[int, KnownRun]:
    """Return trial runs by trial number; of two for one trial, the older."""
    newest_first = reversed([run for run in runs if TRIAL_TAG in run.data.tags])
    return {int(run.data.tags[TRIAL_TAG]): KnownRun.of(run) for run in newest_first}


def as_params(values: Mapping[str, str]) -> list[Param]:
    return [Param(key, str(value)) for key, value in values.items()]


def as_tags(values: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(key, str(value)) for key, value in values.items()]


def source_tags() -> dict[str, str]:
    """Return what MLflow shows in its columns Source and User."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id without a name.
        user = "unknown"
    return {
        "mlflow.user": user,
        "mlflow.source.name": "rxtune search",
        "mlflow.source.type": "LOCAL",
    }
