"""What trials leave on disk, and that `best/` is always whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from rxtune.errors import ClusterError
from rxtune.search import models
from rxtune.search.models import MARKER, ModelStore


def leave_model(store: ModelStore, number: int) -> None:
    """Do what a worker does at the end of a trial."""
    folder = Path(store.folder(number)) / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"trial": number}))


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = ModelStore(str(tmp_path / "checkpoints"), tmp_path / "best")
    store.require_writable()
    return store


def test_every_trial_has_a_folder_of_its_own(store: ModelStore) -> None:
    assert store.folder(7).endswith("/checkpoints/trial-0007")
    assert store.folder(12_345).endswith("/checkpoints/trial-12345")


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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "checkpoints"]


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


def test_forgetting_takes_one_trials_files_and_may_be_repeated(store: ModelStore) -> None:
    leave_model(store, 0)
    leave_model(store, 1)
    store.forget(0)
    store.forget(0)
    assert not Path(store.folder(0)).exists()
    assert Path(store.folder(1)).exists()


def test_rays_folder_is_gone_afterwards(store: ModelStore, tmp_path: Path) -> None:
    with store.ray_folder() as folder:
        (Path(folder.removeprefix("file://")) / "state").mkdir(parents=True)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_what_a_killed_driver_left_of_rays_folder_goes_with_the_next(
    store: ModelStore, tmp_path: Path
) -> None:
    killed = store.ray_folder()
    (Path(killed.__enter__()) / "state").mkdir(parents=True)
    with store.ray_folder() as folder:
        assert not (Path(folder) / "state").exists()
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_storage_by_uri_is_the_same_place(tmp_path: Path, tiny_encoder: Path) -> None:
    store = ModelStore((tmp_path / "checkpoints").as_uri() + "/", tmp_path / "best")
    store.require_writable()
    assert store.folder(1) == f"{(tmp_path / 'checkpoints').as_uri()}/trial-0001"
    leave_model(ModelStore(str(tmp_path / "checkpoints"), tmp_path / "best"), 1)
    store.crown(1, tiny_encoder)
    store.forget(1)
    assert store.crowned == 1
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_storage_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = ModelStore(str(tmp_path / "file" / "storage"), tmp_path / "best")
    with pytest.raises(ClusterError, match=r"--storage: .*/file/storage must be writable"):
        store.require_writable()


def test_a_storage_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="--storage: 'ftp://x/y' must be a path or a URI like"):
        ModelStore("ftp://x/y", tmp_path / "best")
