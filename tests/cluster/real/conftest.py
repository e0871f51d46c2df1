"""One cluster of three hosts for all tests here, and the search that they look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from rxtune.results import TrialRecord
from rxtune.search.decisions import SearchStudy
from rxtune.search.run_folder import RunFolder
from tests.cluster.real.documented import script
from tests.cluster.real.hosts import Network, wait_until, why_impossible
from tests.cluster.real.launched import Cluster

PATIENCE = 600.0
"""Seconds after which what is waited for has failed the test."""


@dataclass(frozen=True)
class Searched:
    """A search that has ended on the head, in its user's home."""

    home: Path

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.home / "runs" / "big")

    def records(self) -> list[TrialRecord]:
        with SearchStudy.open(self.folder.journal, read_only=True) as study:
            return study.records()

    def runs(self) -> list[Run]:
        """Return what the MLflow server has kept: the search's run, then those of its trials."""
        client = MlflowClient(f"sqlite:///{self.home / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("rxtune")
        assert experiment is not None
        found = client.search_runs([experiment.experiment_id])
        return sorted(found, key=lambda run: int(run.data.tags.get("rxtune.trial", -1)))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A head and two workers, made by the commands of cluster/on-prem.md."""
    if why := why_impossible():
        pytest.skip(why)
    with Network() as network:
        cluster = Cluster(network)
        cluster.at_client(script("Up", cluster), seconds=PATIENCE)
        cluster.alive(len(cluster.nodes), seconds=PATIENCE)
        yield cluster


@pytest.fixture(scope="session")
def searched(cluster: Cluster) -> Searched:
    """The search of cluster/on-prem.md, on a small space."""
    cluster.at_client(script("Search", cluster), seconds=PATIENCE)
    wait_until(
        lambda: not cluster.head.processes("rxtune search"), "the search ends", seconds=PATIENCE
    )
    return Searched(cluster.head.home)
