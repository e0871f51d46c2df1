"""A run of a confirmation on its worker, and how many of them there are at a time."""

from __future__ import annotations

import errno
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from rxtune.config import Configuration
from rxtune.errors import DiskFullError, DivergedError, TrialOutOfMemoryError
from rxtune.results import ConfirmedRun, ZeroShot
from rxtune.search import retraining
from rxtune.search.cluster import Capacity
from rxtune.search.retraining import Retrained, retrain
from rxtune.search.run_folder import RunFolder
from rxtune.search.workload import Workload

TESTED = ZeroShot(
    accuracy={"eng": 0.9, "qaa": 0.5}, source_language="eng", dev_languages=(), split="test"
)

PREDICTIONS = pa.table({"id": ["a"], "language": ["eng"], "label": ["x"], "prediction": ["x"]})


def run_of(seed: int) -> ConfirmedRun:
    return ConfirmedRun(trial=3, roles=("robust",), configuration=Configuration(), seed=seed)


def ended(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> Retrained:
    """Return how a run ends whose training returns or raises `outcome`."""

    def train_and_test(run: ConfirmedRun, *_: Any) -> tuple[ConfirmedRun, pa.Table]:
        if isinstance(outcome, Exception):
            raise outcome
        return replace(run, zero_shot=outcome), PREDICTIONS

    monkeypatch.setattr(retraining, "_train_and_test", train_and_test)
    nothing: Any = None
    return retrain(run_of(1), nothing, {}, threads=1, device="cpu")


def test_a_run_that_ends_carries_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ended(monkeypatch, TESTED)
    assert (found.run.zero_shot, found.run.reason, found.is_final) == (TESTED, None, True)
    assert found.predictions is PREDICTIONS


def test_predictions_are_kept_in_the_runs_folder(tmp_path: Path) -> None:
    plan: Any = SimpleNamespace(folder=RunFolder(tmp_path))
    retraining._keep_predictions(
        plan, Retrained(run=run_of(12), is_final=True, predictions=PREDICTIONS)
    )
    retraining._keep_predictions(plan, Retrained(run=run_of(13), is_final=True))
    (kept,) = (tmp_path / "predictions").iterdir()
    assert kept.name == "test-trial-0003-seed-12.parquet"
    assert parquet.read_table(kept) == PREDICTIONS


def test_predictions_that_cannot_be_written_whole_leave_those_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan: Any = SimpleNamespace(folder=RunFolder(tmp_path))
    done = Retrained(run=run_of(12), is_final=True, predictions=PREDICTIONS)
    retraining._keep_predictions(plan, done)

    def torn(table: pa.Table, file: Any) -> None:
        file.write(b"PAR1")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(retraining.parquet, "write_table", torn)
    with pytest.raises(DiskFullError, match="predictions has no room"):
        retraining._keep_predictions(plan, done)
    kept = tmp_path / "predictions" / "test-trial-0003-seed-12.parquet"
    assert parquet.ParquetFile(kept).metadata.num_rows == 1


def test_a_retrained_run_is_tested_on_every_language(workload: Workload) -> None:
    found = retrain(run_of(1), replace(workload, dev={}), workload.dev, threads=1, device="cpu")
    result, saved = found.run.zero_shot, found.predictions
    assert result is not None
    assert found.run.predictions == "test-trial-0003-seed-1.parquet"
    assert found.run.forward_equivalents == 3 * 40  # a plain epoch of 40 examples
    assert found.run.seconds is not None
    assert found.run.seconds > 0
    assert result.split == "test"
    for language, accuracy in result.accuracy.items():
        rows = [row for row in saved.to_pylist() if row["language"] == language]
        assert sum(row["label"] == row["prediction"] for row in rows) / len(rows) == accuracy


def test_a_divergence_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ended(monkeypatch, DivergedError("update 3 of 9: loss is nan"))
    assert found.run.reason == "diverged: update 3 of 9: loss is nan"
    assert found.is_final
    assert found.traceback is None


def test_memory_that_ran_out_may_suffice_another_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ended(monkeypatch, TrialOutOfMemoryError("a pass of 32 examples must fit"))
    assert found.run.reason == "out of memory: a pass of 32 examples must fit"
    assert (found.is_final, found.traceback) == (False, None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError("no room\nfor it"), "out of memory: no room"),
        (ValueError("what"), "ValueError: what"),
    ],
)
def test_any_other_error_is_not_final_and_leaves_its_traceback(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    found = ended(monkeypatch, error)
    assert found.run.reason == reason
    assert found.run.zero_shot is None
    assert not found.is_final
    assert "train_and_test" in (found.traceback or "")


class FakeRay:
    """Ends the first of the tasks that run; `lost` are seeds whose worker dies."""

    class RayError(Exception):
        pass

    def __init__(self, lost: tuple[int, ...] = ()) -> None:
        self.exceptions = SimpleNamespace(RayError=self.RayError)
        self.lost, self.most, self.resources = lost, 0, dict[str, Any]()
        self.devices = set[str]()

    def remote(self, **resources: Any) -> Any:
        self.resources = resources
        return lambda function: SimpleNamespace(remote=self._submit)

    def _submit(self, run: ConfirmedRun, *shared: Any, threads: int, device: str) -> int:
        self.devices.add(device)
        return run.seed

    def put(self, value: Any) -> Any:
        return value

    def wait(self, references: list[int]) -> tuple[list[int], list[int]]:
        self.most = max(self.most, len(references))
        return references[:1], references[1:]

    def get(self, seed: int) -> Retrained:
        if seed in self.lost:
            raise self.RayError("The worker died.\nNode 10.0.0.7 is gone.")
        return Retrained(run=run_of(seed), is_final=True)


def make_all(
    monkeypatch: pytest.MonkeyPatch, ray: FakeRay, workers: int, gpus: float = 0.0
) -> list[Retrained]:
    monkeypatch.setitem(sys.modules, "ray", ray)  # type: ignore[arg-type]
    capacity = Capacity(
        workers=workers, cpus_per_trial=2.0, gpus_per_trial=gpus, nodes=1, can_grow=False
    )
    nothing: Any = None
    runs = [run_of(seed) for seed in range(5)]
    return list(retraining._as_they_end(runs, capacity, nothing, {}))


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_all_runs_are_made_and_no_more_at_a_time_than_there_are_workers(
    monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    ray = FakeRay()
    found = make_all(monkeypatch, ray, workers)
    assert [result.run.seed for result in found] == [0, 1, 2, 3, 4]
    assert ray.most == min(workers, 5)


@pytest.mark.parametrize(("gpus", "device"), [(0.0, "cpu"), (0.5, "cuda")])
def test_a_run_trains_on_what_it_was_given(
    monkeypatch: pytest.MonkeyPatch, gpus: float, device: str
) -> None:
    ray = FakeRay()
    make_all(monkeypatch, ray, 2, gpus)
    assert ray.devices == {device}
    assert ray.resources == {"num_cpus": 2.0, "num_gpus": gpus, "max_retries": 2}


def test_a_lost_worker_costs_its_own_run_only(monkeypatch: pytest.MonkeyPatch) -> None:
    found = make_all(monkeypatch, FakeRay(lost=(2,)), 2)
    assert [result.is_final for result in found] == [True, True, False, True, True]
    assert found[2].run.reason == "worker lost: Node 10.0.0.7 is gone."
