"""What a search needs on disk and what it held: arithmetic, and looks at real folders."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rxtune import storage
from rxtune.search.disk import DiskMeter, DiskNeed, TrialDisk, disk_need
from rxtune.search.workload import Workload

NEED = DiskNeed(model_bytes=10_000_000, workers=2, keep=3)


# --- the forecast


def test_the_peak_is_a_checkpoint_of_each_trial_one_that_replaces_and_the_kept_models() -> None:
    assert NEED.checkpoint_bytes == 30_000_000
    assert NEED.peak_bytes == (2 + 1) * 30_000_000 + 3 * 10_000_000
    assert NEED.most_bytes == 2 * 2 * 30_000_000 + 3 * 10_000_000
    alone = replace(NEED, workers=1)
    assert alone.peak_bytes == alone.most_bytes


def test_a_forecast_is_made_of_the_files_that_training_writes(
    workload: Workload, tmp_path: Path
) -> None:
    import torch

    from rxtune.train import save_model
    from rxtune.train.checkpoint import TrainingState, save_checkpoint

    need = disk_need(workload, workers=1)
    model = workload.model(0)
    save_model(model, str(tmp_path / "model"))
    optimiser = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    settings = workload.settings(workload.study.start_points()[0], "cpu")
    noise = torch.Generator()
    path = save_checkpoint(str(tmp_path), TrainingState(), model, optimiser, noise, settings)
    real = (tmp_path / "model" / "model.safetensors").stat().st_size
    assert need.model_bytes == pytest.approx(real, rel=0.1)
    assert need.checkpoint_bytes == pytest.approx(Path(path).stat().st_size, rel=0.2)


def test_no_more_trials_run_and_stay_than_there_are(workload: Workload) -> None:
    search = workload.study.search.model_copy(update={"trials": 2, "keep": 9})
    few = replace(workload, study=workload.study.model_copy(update={"search": search}))
    found = disk_need(few, workers=64)
    assert (found.workers, found.keep) == (2, 2)


# --- the room


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that says how much every disk has free."""

    def leave(free: int) -> None:
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: usage)

    return leave


def test_too_little_room_is_told_with_both_numbers_and_what_helps(
    room: Any, tmp_path: Path
) -> None:
    room(149_000_000)
    (told,) = NEED.shortages(tmp_path / "runs" / "rs", str(tmp_path / "runs" / "rs" / "x"))
    assert told.startswith("this search needs up to 150.0 MB more, 149.0 MB are free")
    assert f"under {tmp_path}/runs/rs; make room, or" in told
    assert "--storage" in told


def test_enough_room_is_not_mentioned_nor_what_is_held_already(room: Any, tmp_path: Path) -> None:
    room(150_000_000)
    assert NEED.shortages(tmp_path, str(tmp_path)) == []
    room(110_000_000)
    assert NEED.shortages(tmp_path, str(tmp_path), held=40_000_000) == []


def test_a_storage_elsewhere_needs_its_own_room(room: Any, tmp_path: Path, bucket: Any) -> None:
    room(39_000_000)
    (told,) = NEED.shortages(tmp_path, bucket.uri("x"))
    assert told.startswith("what is kept of this search needs up to 40.0 MB more")


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs two file systems")
def test_two_disks_are_told_of_apart(room: Any, tmp_path: Path) -> None:
    if os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs two file systems")
    room(1)
    run, elsewhere = NEED.shortages(tmp_path, "/dev/shm/rxtune")
    assert "needs up to 40.0 MB" in run
    assert "what trials keep while they run needs up to 120.0 MB" in elsewhere


# --- what a trial holds


def write(path: Path, size: int) -> None:
    """Write as a checkpoint is written: beside the old file, then in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(b"x" * size)
    fresh.rename(path)


def test_a_file_that_was_replaced_counts_twice(tmp_path: Path) -> None:
    disk = TrialDisk(str(tmp_path))
    assert disk.held() == 0
    write(tmp_path / "checkpoint", 30)
    assert disk.held() == 30
    assert disk.held() == 30
    write(tmp_path / "checkpoint", 31)
    assert disk.held() == 61
    write(tmp_path / "model", 10)
    assert disk.held() == 41


def test_a_bucket_is_not_asked_at_every_report(bucket: Any) -> None:
    assert TrialDisk(bucket.uri("x")).held() is None


# --- what a search holds


def test_the_meter_keeps_the_highest_of_what_it_saw(tmp_path: Path) -> None:
    meter = DiskMeter(tmp_path, str(tmp_path / "checkpoints"))
    write(tmp_path / "best" / "model", 10)
    write(tmp_path / "checkpoints" / "trial-0000" / "checkpoint", 30)
    write(tmp_path / "checkpoints" / "trial-0001" / "checkpoint", 30)
    meter.see("trial-0001", 60)
    assert meter.peak == 10 + 30 + 60
    meter.see("trial-0000", 30)
    assert meter.peak == 100


@pytest.mark.parametrize("kind", ["path", "URI"])
def test_a_storage_beside_the_run_counts_as_well(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    meter = DiskMeter(tmp_path / "run", str(place) if kind == "path" else place.as_uri())
    write(tmp_path / "run" / "best" / "model", 10)
    write(place / "trial-0000" / "checkpoint", 30)
    meter.see("trial-0000", 60)
    assert meter.peak == 70


def test_a_bucket_is_seen_when_a_trial_ends(bucket: Any, tmp_path: Path) -> None:
    meter = DiskMeter(tmp_path, bucket.uri("metered"))
    write(tmp_path / "best" / "model", 10)
    key = "metered/trial-0000/checkpoint"
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"x" * 30)
    meter.see("trial-0000", None)
    assert meter.peak == 10
    meter.see_all(*storage.open_place(bucket.uri("metered")))
    assert meter.peak == 40
