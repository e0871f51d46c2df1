"""The search that cluster_scenarios.py disturbs, and what must have come out of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kill_campaign import make_encoder
from kill_comparison import MODEL, digest, shown_in_mlflow, trial_of, where_in

from rxtune.results import TrialRecord
from rxtune.search.decisions import SearchStudy
from rxtune.track.store import connect
from tests.cluster.real.hosts import REPOSITORY, Host, wait_until
from tests.cluster.real.launched import Cluster

SPACE = """\
space:
  method: {choice: [standard, rs_rp]}
  sigma: {log_uniform: [0.1, 3.0], when: {method: [rs_rp]}}
  learning_rate: {log_uniform: [0.3, 3.0]}
search: {trials: 5, sampler: random}
stopping: none
train: {epochs: 4, max_length: 32}
"""
NAME = "search"
REFERENCE = Path("/var/tmp/rxtune-cluster-reference")
"""Where the undisturbed search is kept between two calls."""


@dataclass
class Search:
    """The search on a cluster's head, and what happened to it."""

    cluster: Cluster
    head: Host
    storage: Path
    began: float = field(default_factory=time.time)
    events: list[tuple[float, str]] = field(default_factory=list)

    @classmethod
    def start(cls, cluster: Cluster) -> Search:
        """Start it on the head as cluster/on-prem.md does; return when all its trials train."""
        shared = cluster.network.shared
        (shared / "space.yaml").write_text(SPACE)
        shutil.copytree(REFERENCE / "encoder", shared / "encoder")
        shutil.copy(REFERENCE / "empty.db", shared / "mlflow.db")
        search = cls(cluster, cluster.head, shared / "storage")
        search.launch(f"--space {shared}/space.yaml --model {shared}/encoder")
        return search

    def launch(self, what: str) -> None:
        """Start or resume it on the head, with its output in a file."""
        tracking = f"sqlite:///{self.cluster.network.shared}/mlflow.db"
        self.head.start(
            f"rxtune search {what} --name {NAME} --address auto --storage {self.storage}"
            f" --tracking-uri {tracking}; echo $? > search.code",
            log=self.head.home / "search.log",
        )

    @property
    def journal(self) -> Path:
        return self.head.home / "runs" / NAME / "journal.log"

    def records(self) -> list[TrialRecord]:
        """Return the trials as the journal has them."""
        if not self.journal.exists() or not self.journal.stat().st_size:
            return []
        with SearchStudy.open(self.journal, read_only=True) as study:
            return study.records()

    def running(self) -> list[TrialRecord]:
        """Return the trials that have begun and not ended."""
        return [record for record in self.records() if record.ended is None]

    def wait_for_evaluations(self, trials: int, least: int = 2) -> None:
        """Wait until so many running trials have at least so many evaluations each."""
        self.wait_until(
            lambda: sum(len(r.evaluations) >= least for r in self.running()) >= trials,
            f"{trials} trials run",
        )

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 180) -> None:
        """Wait for something while the search runs."""
        code = self.head.home / "search.code"
        wait_until(lambda: condition() or code.exists(), what, seconds=seconds)
        if not condition():
            raise RuntimeError(f"the search ended before: {what}\n{self.output()}")

    def wait_for_end(self, seconds: float = 200) -> str:
        """Return its exit code."""
        code = self.head.home / "search.code"
        wait_until(code.exists, "the search ends", seconds=seconds)
        wait_until(lambda: bool(code.read_text()), "the search ends")
        return code.read_text().strip()

    def output(self) -> str:
        """Return what it has printed."""
        log = self.head.home / "search.log"
        return log.read_text() if log.exists() else ""

    def tell(self, what: str, at: float | None = None) -> None:
        """Add to the scenario's timeline."""
        self.events.append((at or time.time(), what))


def outcome(folder: Path, mlflow: Path) -> dict[str, Any]:
    """Return what a search has left that must not depend on what happened to it."""
    with SearchStudy.open(folder / "journal.log", read_only=True) as study:
        trials = [trial_of(record) for record in study.records()]
    place = mlflow.parent
    runs = [run for run in shown_in_mlflow(place) if run[0] != NAME]
    return {
        "trials": trials,
        "best model": digest(folder / "best" / MODEL),
        "MLflow": sorted(runs, key=repr),
    }


def make_reference() -> None:
    """Run the search on this machine alone, and keep what it leaves."""
    shutil.rmtree(REFERENCE, ignore_errors=True)
    REFERENCE.mkdir()
    (REFERENCE / "space.yaml").write_text(SPACE)
    encoder = make_encoder(REFERENCE / "encoder")
    words = ["--space", "space.yaml", "--model", str(encoder), "--storage", "storage"]
    command = [sys.executable, "-m", "rxtune", "search", "--name", NAME, "--workers", "1", *words]
    began = time.time()
    # Made here, as its making takes long and belongs to no scenario.
    connect(f"sqlite:///{REFERENCE}/mlflow.db", "another")
    shutil.copy(REFERENCE / "mlflow.db", REFERENCE / "empty.db")
    here = {**os.environ, "PYTHONPATH": str(REPOSITORY)}  # as on the hosts
    subprocess.run(command, cwd=REFERENCE, env=here, check=True)
    print(f"{time.time() - began:.0f} s")


def verdict(search: Search) -> str:
    """Return whether the search came out as the reference did, and where not."""
    code = (search.head.home / "search.code").read_text().strip()
    if code != "0":
        return f"**NO: exit {code}**: {search.output().strip().splitlines()[-1]}"
    shared = search.cluster.network.shared
    expected = outcome(REFERENCE / "runs" / NAME, REFERENCE / "mlflow.db")
    found = outcome(search.journal.parent, shared / "mlflow.db")
    unequal = [where_in(kind, found[kind], expected[kind]) for kind in expected
               if found[kind] != expected[kind]]  # fmt: skip
    return f"**NO: {'; '.join(unequal)}**" if unequal else "yes"
