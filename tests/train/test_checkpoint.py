"""Checkpoints appear whole or not at all, and only where they belong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pyarrow import fs
from transformers import PreTrainedModel

from rxtune import storage
from rxtune.errors import DamagedCheckpointError, DataError, DiskFullError
from rxtune.results import Evaluation
from rxtune.train import TrainSettings
from rxtune.train import checkpoint as checkpoints
from rxtune.train.checkpoint import FILE_NAME, TrainingState, load_checkpoint, save_checkpoint
from tests.faulty_store import faulty_store

EVALUATION = Evaluation(
    number=1,
    updates=5,
    value=0.5,
    accuracy={"qaa": 0.5},
    train_loss=1.1,
    forward_equivalents=120.0,
    seconds=2.5,
    time=1e9,
)


class Run:
    """A model, an optimiser that has made a step, and noise."""

    def __init__(self, model: PreTrainedModel, settings: TrainSettings) -> None:
        self.model, self.settings = model, settings
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        self.noise = torch.Generator().manual_seed(0)
        self.state = TrainingState(updates=5, forward_equivalents=120.0, evaluations=[EVALUATION])

    def step(self) -> None:
        self.optimiser.zero_grad()
        self.model(input_ids=torch.tensor([[5, 6, 7]])).logits.sum().backward()
        self.optimiser.step()

    def save(self, folder: str) -> str:
        return save_checkpoint(
            folder, self.state, self.model, self.optimiser, self.noise, self.settings
        )

    def load(self, folder: str, settings: TrainSettings | None = None) -> TrainingState | None:
        return load_checkpoint(
            folder, self.model, self.optimiser, self.noise, settings or self.settings
        )


@pytest.fixture
def run(model: PreTrainedModel, make_settings: Callable[..., TrainSettings]) -> Run:
    run = Run(model, make_settings())
    run.step()
    return run


def test_everything_comes_back(run: Run, tmp_path: Path) -> None:
    assert run.save(str(tmp_path)) == str(tmp_path / FILE_NAME)
    weights = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    drawn = torch.rand(3), torch.rand(3, generator=run.noise)
    run.step()
    after_two = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}

    assert run.load(str(tmp_path)) == TrainingState(
        updates=5, forward_equivalents=120.0, seconds_before=2.5, evaluations=[EVALUATION]
    )
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, weights[name])
    assert torch.equal(torch.rand(3), drawn[0])
    assert torch.equal(torch.rand(3, generator=run.noise), drawn[1])
    run.step()
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, after_two[name])  # the optimiser's moments came back, too


def test_an_empty_folder_holds_no_checkpoint(run: Run, tmp_path: Path) -> None:
    assert run.load(str(tmp_path / "nowhere")) is None


def test_a_half_written_checkpoint_is_never_loaded(run: Run, tmp_path: Path) -> None:
    run.save(str(tmp_path))
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).unlink()
    (tmp_path / f"{FILE_NAME}.new").write_bytes(whole[: len(whole) // 2])
    assert run.load(str(tmp_path)) is None


def test_a_kill_while_writing_leaves_the_last_checkpoint(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.save(str(tmp_path))

    def killed(tensors: object, path: str, metadata: object) -> None:
        Path(path).write_bytes(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save_file", killed)
    run.state.updates = 9
    with pytest.raises(KeyboardInterrupt):
        run.save(str(tmp_path))
    found = run.load(str(tmp_path))
    assert found is not None
    assert found.updates == 5


def test_a_write_that_fails_leaves_no_second_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.save(str(tmp_path))

    def fill_the_disk(tensors: object, path: str, metadata: object) -> None:
        Path(path).write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", fill_the_disk)
    with pytest.raises(DiskFullError, match=r"the disk is full: a checkpoint needs \d+ kB, "):
        run.save(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_two_writers_at_once_leave_a_whole_checkpoint_and_neither_fails(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file = checkpoints.save_file
    orphan = [run]

    def overtaken(tensors: Any, path: str, metadata: Any) -> None:
        save_file(tensors, path, metadata)
        if orphan:  # the worker of a killed driver writes now, between write and rename
            orphan.pop().save(str(tmp_path))

    monkeypatch.setattr(checkpoints, "save_file", overtaken)
    run.save(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert run.load(str(tmp_path)) is not None


def test_who_takes_a_run_over_deletes_what_killed_writers_left(run: Run, tmp_path: Path) -> None:
    run.save(str(tmp_path))
    (tmp_path / f"{FILE_NAME}.0a1b.new").write_bytes(b"half a file")
    (tmp_path / "notes.new").write_text("somebody else's")
    assert run.load(str(tmp_path)) is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE_NAME, "notes.new"]


def test_a_checkpoint_takes_the_place_of_the_last_one(run: Run, tmp_path: Path) -> None:
    run.save(str(tmp_path))
    run.state.updates = 9
    run.save(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    found = run.load(str(tmp_path))
    assert found is not None
    assert found.updates == 9


def test_a_file_system_that_is_not_local_goes_the_same_way(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    monkeypatch.setattr(storage, "open_place", lambda folder: (elsewhere, "runs/7"))
    assert run.load("far://runs/7") is None
    assert run.save("far://runs/7/") == f"far://runs/7/{FILE_NAME}"
    assert [path.name for path in (tmp_path / "runs/7").iterdir()] == [FILE_NAME]
    found = run.load("far://runs/7")
    assert found is not None
    assert found.evaluations == [EVALUATION]


def test_a_bucket_holds_one_file_and_gives_everything_back(run: Run, bucket: Any) -> None:
    folder = bucket.uri("runs/7/checkpoint")
    assert run.load(folder) is None
    assert run.save(folder) == bucket.uri(f"runs/7/checkpoint/{FILE_NAME}")
    weights = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    run.step()
    found = run.load(folder)
    assert found is not None
    assert found.evaluations == [EVALUATION]
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, weights[name])
    assert bucket.keys("runs/7") == [f"runs/7/checkpoint/{FILE_NAME}"]


def test_an_upload_that_breaks_off_leaves_the_last_checkpoint(run: Run, bucket: Any) -> None:
    folder = bucket.uri("broken")
    run.save(folder)
    key = {"Bucket": bucket.name, "Key": f"broken/{FILE_NAME}"}
    begun = bucket.client.create_multipart_upload(**key)["UploadId"]
    bucket.client.upload_part(**key, UploadId=begun, PartNumber=1, Body=b"half a file")
    found = run.load(folder)
    assert found is not None
    assert found.updates == 5
    run.state.updates = 9
    run.save(folder)
    found = run.load(folder)
    assert found is not None
    assert found.updates == 9


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_damaged_checkpoint_is_refused(run: Run, tmp_path: Path, share: float) -> None:
    path = Path(run.save(str(tmp_path)))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=r"must be a whole checkpoint.*remove it"):
        run.load(str(tmp_path))


def test_a_checkpoint_of_other_settings_is_refused(
    run: Run, tmp_path: Path, make_settings: Callable[..., TrainSettings]
) -> None:
    run.save(str(tmp_path))
    with pytest.raises(DataError, match=r"learning_rate was 0.001 and is 0.002"):
        run.load(str(tmp_path), make_settings(learning_rate=2e-3))


def test_a_checkpoint_of_another_format_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.save(str(tmp_path))
    monkeypatch.setattr(checkpoints, "FORMAT", 2)
    with pytest.raises(DataError, match="its format must be 2, but is 1"):
        run.load(str(tmp_path))


def test_a_checkpoint_holds_no_pickle(run: Run, tmp_path: Path) -> None:
    data = Path(run.save(str(tmp_path))).read_bytes()
    assert data[8:9] == b"{"  # safetensors: eight bytes of length, then JSON
    assert not data.startswith((b"PK", b"\x80\x02", b"\x80\x04", b"\x80\x05"))


@pytest.mark.parametrize("fault", ["deny", "cut"])
def test_a_store_that_refuses_or_hangs_up_leaves_the_older_checkpoint(
    run: Run, bucket: Any, tmp_path: Path, fault: Any
) -> None:
    with faulty_store(bucket.endpoint) as store:
        place = f"s3://{bucket.name}/{tmp_path.name}?endpoint_override={store.endpoint}"
        place += "&scheme=http&region=us-east-1"
        run.save(place)
        before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
        run.step()
        run.state.updates = 6
        store.refuse_uploads(fault)
        with pytest.raises(OSError, match="AWS Error"):
            run.save(place)
        store.work()
        state = run.load(place)
    assert state is not None
    assert state.updates == 5
    found = run.model.state_dict()
    assert all(torch.equal(found[name], before[name]) for name in before)


def test_half_a_checkpoint_in_a_store_is_refused(run: Run, bucket: Any) -> None:
    run.save(bucket.uri("half"))
    key = {"Bucket": bucket.name, "Key": f"half/{FILE_NAME}"}
    whole = bucket.client.get_object(**key)["Body"].read()
    bucket.client.put_object(**key, Body=whole[: len(whole) // 2])
    with pytest.raises(DamagedCheckpointError, match="must be a whole checkpoint"):
        run.load(bucket.uri("half"))
