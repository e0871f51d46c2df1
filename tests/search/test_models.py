"""What trials leave on disk, and that `best/` is always whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyarrow import fs
from transformers import AutoTokenizer

from rxtune import storage
from rxtune.search import models
from rxtune.search.models import MARKER, ModelStore


def leave_model(store: ModelStore, number: int) -> None:
    """Do what a worker does at the end of a trial."""
    files, path = storage.open_place(storage.join(store.folder(number), "model"))
    storage.make_folder(files, path)
    with files.open_output_stream(f"{path}/config.json") as stream:
        stream.write(json.dumps({"trial": number}).encode())


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder of this machine, then one in a bucket."""
    if request.param == "local":
        return str(tmp_path / "checkpoints")
    return str(request.getfixturevalue("bucket").uri(f"{tmp_path.name}/checkpoints"))


@pytest.fixture
def store(place: str, tmp_path: Path) -> ModelStore:
    (tmp_path / "run").mkdir()
    return ModelStore(place, tmp_path / "run" / "best")


def left_in(place: str) -> list[str]:
    """Return the names of all files below a place."""
    files, path = storage.open_place(place)
    below = fs.FileSelector(path, recursive=True, allow_not_found=True)
    found = [info for info in files.get_file_info(below) if info.type == fs.FileType.File]
    return sorted(info.path.removeprefix(f"{path}/") for info in found)


def test_every_trial_has_a_folder_of_its_own() -> None:
    store = ModelStore("s3://b/checkpoints?region=r", Path("best"))
    assert store.folder(7) == "s3://b/checkpoints/trial-0007?region=r"
    assert store.folder(12_345) == "s3://b/checkpoints/trial-12345?region=r"


def test_the_crowned_model_loads_with_its_tokenizer(store: ModelStore, tiny_encoder: Path) -> None:
    leave_model(store, 3)
    store.crown(3, tiny_encoder)
    assert json.loads((store.best / "config.json").read_text()) == {"trial": 3}
    text = "the dog"
    original = AutoTokenizer.from_pretrained(tiny_encoder)
    assert AutoTokenizer.from_pretrained(store.best)(text) == original(text)


def test_a_better_model_takes_the_place_of_the_old_one(
    store: ModelStore, tiny_encoder: Path, tmp_path: Path
) -> None:
    for number in (0, 4):
        leave_model(store, number)
        store.crown(number, tiny_encoder)
        assert store.crowned == number
    assert json.loads((store.best / "config.json").read_text()) == {"trial": 4}
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["best"]


def test_a_crash_while_crowning_leaves_the_old_model_or_is_made_up(
    store: ModelStore, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_model(store, 0)
    store.crown(0, tiny_encoder)
    leave_model(store, 1)
    with monkeypatch.context() as crashing:
        crashing.setattr(models, "_copy_tokenizer", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.crown(1, tiny_encoder)
    assert store.crowned == 0
    store.crown(1, tiny_encoder)
    assert store.crowned == 1


def test_a_model_that_is_crowned_is_not_copied_again(
    store: ModelStore, tiny_encoder: Path
) -> None:
    leave_model(store, 0)
    store.crown(0, tiny_encoder)
    store.forget(0)
    store.crown(0, tiny_encoder)  # there is nothing left to copy
    assert store.crowned == 0


@pytest.mark.parametrize("marker", ["", "{}", '{"trial": null}', "[]", '{"trial": "x"}'])
def test_a_damaged_mark_is_no_mark(store: ModelStore, marker: str) -> None:
    store.best.mkdir()
    (store.best / MARKER).write_text(marker)
    assert store.crowned is None


def test_a_model_is_there_until_its_trial_is_forgotten(store: ModelStore) -> None:
    assert not store.has_model(0)
    leave_model(store, 0)
    leave_model(store, 1)
    assert store.has_model(0)
    store.forget(0)
    store.forget(0)
    assert not store.has_model(0)
    assert store.has_model(1)


def test_an_empty_folder_in_the_storage_goes_and_a_full_one_stays(
    store: ModelStore, place: str
) -> None:
    store.tidy()
    leave_model(store, 0)
    leave_model(store, 1)
    store.forget(0)
    store.tidy()
    assert left_in(place) == ["trial-0001/model/config.json"]
    store.forget(1)
    store.tidy()
    files, path = storage.open_place(place)
    assert files.get_file_info(path).type == fs.FileType.NotFound


def test_the_folder_of_a_run_is_left_as_it_is(tmp_path: Path) -> None:
    store = ModelStore(str(tmp_path / "run" / "checkpoints"), tmp_path / "run" / "best")
    leave_model(store, 0)
    store.forget(0)
    store.tidy()
    assert (tmp_path / "run" / "checkpoints").exists()


@pytest.fixture
def local_store(tmp_path: Path) -> ModelStore:
    return ModelStore("s3://never-opened/x", tmp_path / "best")


def test_rays_folder_lies_in_the_run_and_is_gone_afterwards(
    local_store: ModelStore, tmp_path: Path
) -> None:
    with local_store.ray_folder() as folder:
        (Path(folder) / "state").mkdir(parents=True)
        assert Path(folder).parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_driver_left_of_rays_folder_goes_with_the_next(
    local_store: ModelStore, tmp_path: Path
) -> None:
    killed = local_store.ray_folder()
    (Path(killed.__enter__()) / "state").mkdir(parents=True)
    with local_store.ray_folder() as folder:
        assert not (Path(folder) / "state").exists()
    assert list(tmp_path.iterdir()) == []


def test_storage_by_uri_is_the_same_place(tmp_path: Path, tiny_encoder: Path) -> None:
    store = ModelStore((tmp_path / "checkpoints").as_uri() + "/", tmp_path / "best")
    assert store.folder(1) == f"{(tmp_path / 'checkpoints').as_uri()}/trial-0001"
    leave_model(ModelStore(str(tmp_path / "checkpoints"), tmp_path / "best"), 1)
    store.crown(1, tiny_encoder)
    store.forget(1)
    assert store.crowned == 1
    assert left_in(str(tmp_path / "checkpoints")) == []
