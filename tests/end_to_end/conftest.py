"""The real command line in a folder of its own, on an encoder small enough for many searches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

import rxtune
from rxtune.results import TrialRecord, TrialState
from rxtune.search.decisions import SearchStudy
from rxtune.search.run_folder import RunFolder

SPACE = """\
space:
  method: {choice: [standard, rs_rp]}
  sigma: {log_uniform: [0.1, 3.0], when: {method: [rs_rp]}}
  learning_rate: {log_uniform: [0.3, 3.0]}
search: {trials: 6, startup_trials: 3}
stopping: {asha: {evaluations: 3, first_rung: 1, reduction_factor: 2}}
train: {epochs: 0.1, max_length: 32}
"""
MARK = "RXTUNE_TEST_MARK"
PATIENCE = 300.0
"""Seconds after which a search that does not do what is waited for has failed the test."""
QUIETED_BY_TESTS = (
    "MLFLOW_DISABLE_TELEMETRY",
    "RAY_USAGE_STATS_ENABLED",
    "TOKENIZERS_PARALLELISM",
)


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    output: str
    errors: str
    pid: int = 0
    """Of its process."""


class Command:
    """A running `rxtune`, in a process group of its own as under a shell."""

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rxtune", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A test run in the background of a script has Ctrl-C ignored, and would hand that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.pid = self._process.pid

    def wait(self) -> Ended:
        """Return how it ended; what it prints is little enough for a pipe."""
        output, errors = self._process.communicate(timeout=PATIENCE)
        return Ended(self._process.returncode, output, errors, self.pid)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return as soon as the condition holds, while the command still runs."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self._process.poll() is None, f"ended too early: {self.wait()}"
            assert time.monotonic() < deadline, "what was waited for has not happened"
            time.sleep(0.002)

    def read_line(self) -> str:
        """Wait for the next line that it prints, and return it; empty if it has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def kill(self) -> None:
        """Kill the driver alone, as the system does when memory runs out."""
        self._process.kill()
        self._process.communicate()

    def kill_workers(self) -> None:
        """Kill the processes that train; the driver lives on."""
        workers = self._workers()
        assert workers, "no process trains"
        for pid in workers:
            os.kill(pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill the driver and the processes that train, at once."""
        for pid in [*self._workers(), self.pid]:
            os.kill(pid, signal.SIGKILL)
        self._process.communicate()

    def has_started(self, program: str) -> bool:
        """Return whether a child process has this in its command line."""
        return any(program in _command_line(pid) for pid in _children(self.pid))

    def _workers(self) -> list[int]:
        """Return the processes that train: Ray names them after what they run."""
        below = [self.pid]
        for pid in below:  # grows: the driver's children, theirs, ...
            below += _children(pid)
        return [pid for pid in below if _command_line(pid).startswith("ray::ImplicitFunc")]


@dataclass(frozen=True)
class Workplace:
    """A folder in which a user types commands."""

    folder: Path
    encoder: Path
    mark: str

    def start(self, *arguments: str) -> Command:
        environment = {key: v for key, v in os.environ.items() if key not in QUIETED_BY_TESTS}
        environment.pop("MLFLOW_TRACKING_URI", None)
        environment["PYTHONPATH"] = str(Path(rxtune.__file__).parents[1])
        environment[MARK] = self.mark
        return Command(list(arguments), self.folder, environment)

    def run(self, *arguments: str) -> Ended:
        return self.start(*arguments).wait()

    def ended(self, code: int, output: str, errors: str) -> Ended:
        return Ended(code, output, errors)

    def new_search(self, name: str, *arguments: str) -> list[str]:
        """Return the command that starts a search on the small encoder."""
        space = ["--space", "space.yaml", "--model", str(self.encoder)]
        return ["search", *space, "--name", name, *arguments]

    def run_folder(self, name: str) -> RunFolder:
        return RunFolder(self.folder / "runs" / name)

    def journal(self, name: str) -> str:
        try:
            return self.run_folder(name).journal.read_text()
        except OSError:
            return ""

    def has_evaluations(self, name: str, count: int) -> Callable[[], bool]:
        return lambda: self.journal(name).count('"user_attr":{"evaluation_') >= count

    def has_finished(self, name: str, count: int) -> Callable[[], bool]:
        return lambda: self.journal(name).count('"user_attr":{"zero_shot"') >= count

    def records(self, name: str) -> list[TrialRecord]:
        with SearchStudy.open(self.run_folder(name).journal, read_only=True) as study:
            return study.records()

    def states(self, name: str) -> set[TrialState]:
        return {record.state for record in self.records(name)}

    def mlflow(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")

    def runs(self, name: str) -> tuple[Run, list[Run]]:
        """Return a search's parent run and the runs of its trials, by trial number."""
        client, search_id = self.mlflow(), self.run_folder(name).places().search_id
        experiment = client.get_experiment_by_name("rxtune")
        assert experiment is not None
        found = client.search_runs(
            [experiment.experiment_id], f"tags.`rxtune.search_id` = '{search_id}'"
        )
        (parent,) = [run for run in found if "rxtune.trial" not in run.data.tags]
        trials = [run for run in found if "rxtune.trial" in run.data.tags]
        return parent, sorted(trials, key=lambda run: int(run.data.tags["rxtune.trial"]))

    def processes(self) -> list[str]:
        """Return the command lines of all processes that a command here has left behind."""
        return [_command_line(pid) for pid in self.process_ids()]

    def gone(self) -> bool:
        """Return whether all those processes end, given a little time."""
        deadline = time.monotonic() + PATIENCE / 5
        while self.process_ids() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.process_ids()

    def process_ids(self) -> list[int]:
        wanted = f"{MARK}={self.mark}".encode()
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if wanted in _environment(pid).split(b"\0")]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it has ended, or is another user's
        return b""


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            found += map(int, path.read_text().split())
    return found


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Iterator[Workplace]:
    """One folder for all searches: MLflow's database is made once."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "space.yaml").write_text(SPACE)
    place = Workplace(folder, tiny_encoder, uuid.uuid4().hex)
    yield place
    for pid in place.process_ids():  # what a killed driver's Ray leaves for a minute
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue


@pytest.fixture(scope="session")
def reference(workplace: Workplace) -> Ended:
    """The search `reference`, uninterrupted, one trial at a time."""
    return workplace.run(*workplace.new_search("reference", "--workers", "1"))
